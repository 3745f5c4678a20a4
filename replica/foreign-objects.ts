import type { Writer } from './sqlite.ts';

/** An index or a trigger that another program made on a table of the feed. */
export interface ForeignObject {
  type: 'index' | 'trigger';
  name: string;
  sql: string;
}

/** What other programs made on this table: it goes when the table goes. */
export function foreignObjects(db: Writer, table: string): ForeignObject[] {
  return db
    .prepare(
      `SELECT type, name, sql FROM main.sqlite_schema WHERE type IN ('index', 'trigger') AND lower(tbl_name) = lower(?)
         AND sql IS NOT NULL AND name NOT LIKE 'tidemark\\_%' ESCAPE '\\' ORDER BY rowid`,
    )
    .all(table) as ForeignObject[];
}

/** Makes them again on a table that took the place of theirs. Returns the names of those that it does not allow. */
export function restoreObjects(db: Writer, objects: ForeignObject[]): string[] {
  return objects.filter(({ sql }) => !made(db, sql)).map(({ name }) => name);
}

function made(db: Writer, sql: string): boolean {
  try {
    db.exec(sql);
    return true;
  } catch (error) {
    if (isMisfit(error)) return false;
    throw error;
  }
}

/** Whether SQLite refused a statement because of what the tables are or hold, and not because of the disk or the file. */
export function isMisfit(error: unknown): error is Error {
  const code = error instanceof Error ? String((error as { code?: unknown }).code ?? '') : '';
  return code === 'SQLITE_ERROR' || code === 'SQLITE_MISMATCH' || code.startsWith('SQLITE_CONSTRAINT');
}
