import type pg from 'pg';
import { z } from 'zod';
import type { SourceTable } from './catalog.ts';
import { ident, literal, rows } from './connection.ts';

/** How a table of the master looked when the relay last held it as it was. */
const HeldTable = z.object({
  oid: z.int(),
  /** Its name at the relay. */
  name: z.string(),
  /** The numbers of the columns that travel, in order. */
  attnums: z.array(z.int()),
  version: z.object({
    shape: z.string(),
    attributes: z.string(),
    file: z.string(),
    // Of a comment that does not tell yet: not known.
    published: z.string().default(''),
  }),
});
export type HeldTable = z.infer<typeof HeldTable>;

const WORDS = 'Kept by Tidemark, which reads it when it starts: ';

export function held({ oid, name, columns, version }: SourceTable): HeldTable {
  return { oid, name, attnums: columns.map(({ attnum }) => attnum), version };
}

/**
 * What was written last as the publication's comment; null when there is none. It is about the master's own tables, so
 * it stands there: the feed keeps nothing. One that is too old makes tables be read anew that need not be, no more.
 */
export async function readHeld(client: pg.Client, publication: string): Promise<HeldTable[] | null> {
  const [row] = await rows(
    client,
    `SELECT obj_description(oid, 'pg_publication') AS comment FROM pg_publication WHERE pubname = ${literal(publication)}`,
  );
  if (!row?.comment?.startsWith(WORDS)) return null;
  return z.array(HeldTable).parse(JSON.parse(row.comment.slice(WORDS.length)));
}

/** Writes it, if the publication is the user's own; says whether it was. */
export async function writeHeld(client: pg.Client, publication: string, tables: HeldTable[]): Promise<boolean> {
  const [row] = await rows(
    client,
    `SELECT pg_has_role(pubowner, 'USAGE') AS own FROM pg_publication WHERE pubname = ${literal(publication)}`,
  );
  if (row?.own !== 't') return false;
  await client.query(`COMMENT ON PUBLICATION ${ident(publication)} IS ${literal(WORDS + JSON.stringify(tables))}`);
  return true;
}
