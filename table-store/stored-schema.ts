import { TidemarkError } from '@tidemark/protocol/errors';
import { TableSchema } from '@tidemark/protocol/schema';

/**
 * Table schemas that a database stores as JSON: in `tidemark_table` of a replica and of the mirror, and in the relay's
 * log.
 *
 * Every read parses the stored schema with the wire's `TableSchema`, because another program or another version of ours
 * may have written it, and because we build SQL from its names. A schema is unreadable if it does not parse or names
 * another table than its row. An unreadable schema is never used in part and never repaired here. A terminal treats its
 * table as altered and gets a fresh copy ({@link readStoredSchema}). A relay, and code that reads a snapshot, stops
 * with `db_damaged` ({@link requireStoredSchema}).
 */

/**
 * Parses a stored schema. `name`: the table's name in the same row, if the row has one. Returns null when the schema is
 * unreadable.
 */
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

/** Parses a stored schema that must be readable. Throws `db_damaged`. */
export function requireStoredSchema(db: { name: string }, text: unknown, name?: unknown): TableSchema {
  const schema = readStoredSchema(text, name);
  if (schema) return schema;
  const table = typeof name === 'string' ? ` of ${name}` : '';
  throw new TidemarkError('db_damaged', { file: db.name, detail: `a stored schema${table} is unreadable` });
}

/** Returns the text that stores a schema. */
export const storedForm = (schema: TableSchema): string => JSON.stringify(schema);
