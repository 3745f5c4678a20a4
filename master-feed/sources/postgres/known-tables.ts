import type pg from 'pg';
import { z } from 'zod';
import type { KnownTable } from '../../source.ts';
import type { PostgresVersion } from './catalog.ts';
import { isRefusal } from './master-error.ts';
import { ident, literal, rows } from './sql.ts';

/**
 * Stores the descriptions of the tables that the relay holds as the comment of the publication, because the feed keeps
 * no files. An outdated comment only makes the feed re-read more tables than necessary.
 */

/** Schema of the comment. Comments from earlier versions must remain readable. */
const Stored = z.array(
  z.object({
    oid: z.int(),
    name: z.string(),
    attnums: z.array(z.int()),
    version: z.object({
      shape: z.string(),
      attributes: z.string(),
      file: z.string(),
      // Comments from the first version do not contain it.
      published: z.string().default(''),
    }),
  }),
);

const PREFIX = 'Kept by Tidemark, which reads it when it starts: ';

/** Parses the text of a comment. Returns null for a comment that someone changed. */
function parsed(text: string): z.infer<typeof Stored> | null {
  try {
    return Stored.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Reads the comment. Returns null if there is none, or if it is not valid. */
export async function readKnown(client: pg.Client, publication: string): Promise<KnownTable[] | null> {
  const [row] = await rows(
    client,
    `SELECT obj_description(oid, 'pg_publication') AS comment FROM pg_publication WHERE pubname = ${literal(publication)}`,
  );
  if (!row?.comment?.startsWith(PREFIX)) return null;
  const stored = parsed(row.comment.slice(PREFIX.length));
  if (stored === null) return null;
  return stored.map(({ oid, name, attnums, version }) => ({ id: oid, name, columnIds: attnums, version }));
}

/**
 * Writes the comment. Returns false if the user does not own the publication, or if the master refuses the statement, as
 * an event trigger may do. The comment is optional, so a refusal must not stop the feed.
 */
export async function writeKnown(
  client: pg.Client,
  publication: string,
  tables: readonly KnownTable[],
): Promise<boolean> {
  const [row] = await rows(
    client,
    `SELECT pg_has_role(pubowner, 'USAGE') AS own FROM pg_publication WHERE pubname = ${literal(publication)}`,
  );
  if (row?.own !== 't') return false;
  const stored = tables.map(({ id, name, columnIds, version }) => ({ oid: id, name, attnums: columnIds, version }));
  try {
    await client.query(`COMMENT ON PUBLICATION ${ident(publication)} IS ${literal(PREFIX + JSON.stringify(stored))}`);
    return true;
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}

/** Reports whether two descriptions differ in more than file node numbers, which every TRUNCATE changes. */
export function isWorthWriting(before: readonly KnownTable[], after: readonly KnownTable[]): boolean {
  const text = (tables: readonly KnownTable[]) =>
    JSON.stringify(
      tables.map(({ id, name, columnIds, version }) => [id, name, columnIds, { ...version, file: '' }]).sort(),
    );
  return text(before) !== text(after);
}

/** Reports whether the log contains every change of a table's rows between two versions. */
export function isSameVersion(before: PostgresVersion, after: PostgresVersion): boolean {
  const rewritten = before.attributes !== after.attributes && before.file !== after.file;
  return before.shape === after.shape && before.published === after.published && !rewritten;
}
