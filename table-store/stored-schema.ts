import { TidemarkError } from '@tidemark/protocol/errors';
import { TableSchema } from '@tidemark/protocol/schema';

/**
 * Table schemas that a database stores as JSON: in a replica's and the mirror's `tidemark_table`, and in the relay's log.
 *
 * One policy for all of them. Each read from a database parses the stored schema with the wire's `TableSchema`, because
 * another program or another version of ours may have written it, and because we build SQL from its names. A
 * schema that does not parse, or that names another table than its row, is unreadable: it is never used in part and never
 * repaired here. A terminal treats its table as altered, and a fresh copy follows ({@link readStoredSchema}); a relay, and
 * whatever reads a snapshot, stops with `db_damaged` ({@link requireStoredSchema}).
 */

/** A stored schema. `name`: the table's name in the same row, if the row has one. Returns null when it is unreadable. */
export function readStoredSchema(text: unknown, name?: unknown): TableSchema | null {
  let json: unknown;
  try {
    json = JSON.parse(String(text));
  } catch {
    return null;
  }
  const schema = TableSchema.safeParse(json);
  return schema.success && (name === undefined || schema.data.name === name) ? schema.data : null;
}

/** A stored schema that has to be readable. Throws `db_damaged`. */
export function requireStoredSchema(db: { name: string }, text: unknown, name?: unknown): TableSchema {
  const schema = readStoredSchema(text, name);
  if (schema) return schema;
  const table = typeof name === 'string' ? ` of ${name}` : '';
  throw new TidemarkError('db_damaged', { file: db.name, detail: `a stored schema${table} is unreadable` });
}

/** How a schema is stored. */
export const storedForm = (schema: TableSchema): string => JSON.stringify(schema);
