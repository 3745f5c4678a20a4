import { ident, type Writer } from './sqlite.ts';

/** An index or a trigger that another program made on a table of the feed. */
export interface ThirdPartyObject {
  type: 'index' | 'trigger';
  name: string;
  sql: string;
}

/** What other programs made on this table: it goes when the table goes. */
export function thirdPartyObjects(db: Writer, table: string): ThirdPartyObject[] {
  return db
    .prepare(
      `SELECT type, name, sql FROM main.sqlite_schema WHERE type IN ('index', 'trigger') AND lower(tbl_name) = lower(?)
         AND sql IS NOT NULL AND name NOT LIKE 'tidemark\\_%' ESCAPE '\\' ORDER BY rowid`,
    )
    .all(table) as ThirdPartyObject[];
}

/** Makes them again on a table that took the place of theirs. Returns the names of those that it does not allow. */
export function restoreObjects(db: Writer, objects: ThirdPartyObject[]): string[] {
  return objects.filter(({ sql }) => !made(db, sql)).map(({ name }) => name);
}

function made(db: Writer, sql: string): boolean {
  try {
    db.exec(sql);
    return true;
  } catch (error) {
    if (isRejection(error)) return false;
    throw error;
  }
}

/**
 * What of other programs may keep a table from being changed, the likeliest first: unique indexes where one failed, else
 * triggers. `failure` is SQLite's message; `removed` has been tried. None: it is not their doing. A name of ours stands for
 * all our tables that are not the feed's.
 */
export function blockingObjects(
  db: Writer,
  table: string,
  failure: string,
  removed: ThirdPartyObject[],
): ThirdPartyObject[] {
  const ours = /^tidemark_/i.test(table);
  const tables = ours ? OUR_TABLES : [table];
  const all = tables
    .flatMap((name) => thirdPartyObjects(db, name))
    .filter(({ name }) => !removed.some((other) => other.name === name));
  const unique = all.filter(({ sql }) => /^CREATE\s+UNIQUE/i.test(sql));
  const triggers = all.filter(({ type }) => type === 'trigger');
  const here = new RegExp(`^UNIQUE constraint failed: (index |${escaped(table)}\\.)`, 'i').test(failure);
  return (here ? [unique, triggers, all] : [triggers, unique, all]).find((some) => some.length > 0) ?? [];
}

/** Our tables that are written with the feed's. */
export const OUR_TABLES = ['tidemark_meta', 'tidemark_table', 'tidemark_spool', 'tidemark_status'];
const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Removes them, inside the caller's transaction. */
export function removeObjects(db: Writer, objects: ThirdPartyObject[]): void {
  for (const { type, name } of objects) db.exec(`DROP ${type.toUpperCase()} IF EXISTS main.${ident(name)}`);
}

/** Whether SQLite refused a statement because of what the tables are or hold, and not because of the disk or the file. */
export function isRejection(error: unknown): error is Error {
  const code = error instanceof Error ? String((error as { code?: unknown }).code ?? '') : '';
  return code === 'SQLITE_ERROR' || code === 'SQLITE_MISMATCH' || code.startsWith('SQLITE_CONSTRAINT');
}
