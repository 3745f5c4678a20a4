import { WRITTEN_WITH_FEED } from './own-tables.ts';
import { columnKind, query, row, TEXT } from './query.ts';
import { ident, type Writer } from './sqlite.ts';

/**
 * Indexes and triggers that other programs created on our tables.
 *
 * We keep them wherever possible: a table that replaces theirs gets them again. We drop them only where they block a
 * change of the feed, because the tables of a feed are ours alone to write. Callers work inside a transaction and report the names of dropped objects.
 */
export interface ThirdPartyObject {
  type: 'index' | 'trigger';
  name: string;
  sql: string;
}

const OBJECT_TYPE = columnKind(
  'index or trigger',
  (value): value is ThirdPartyObject['type'] => value === 'index' || value === 'trigger',
);
const OBJECT = row({ type: OBJECT_TYPE, name: TEXT, sql: TEXT });

/** Objects of other programs on this table, oldest first. SQLite drops them with the table. */
export function thirdPartyObjects(db: Writer, table: string): ThirdPartyObject[] {
  return query(
    db,
    `SELECT type, name, sql FROM main.sqlite_schema WHERE type IN ('index', 'trigger') AND lower(tbl_name) = lower(?)
       AND sql IS NOT NULL AND name NOT LIKE 'tidemark\\_%' ESCAPE '\\' ORDER BY rowid`,
    OBJECT,
  ).all(table);
}

/** Creates the objects again on a table that replaced theirs. Returns the names of those that SQLite refuses. */
export function restoreObjects(db: Writer, objects: ThirdPartyObject[]): string[] {
  return objects.filter(({ sql }) => !create(db, sql)).map(({ name }) => name);
}

function create(db: Writer, sql: string): boolean {
  try {
    db.exec(sql);
    return true;
  } catch (error) {
    if (isRejection(error)) return false;
    throw error;
  }
}

/** Drops the objects, inside the caller's transaction. */
export function removeObjects(db: Writer, objects: ThirdPartyObject[]): void {
  for (const { type, name } of objects) db.exec(`DROP ${type.toUpperCase()} IF EXISTS main.${ident(name)}`);
}

/**
 * The objects most likely to have caused a rejected change, to be removed before the next attempt: unique indexes where
 * a unique constraint of this table failed, else triggers. Empty: no object of another program is left to blame.
 * `failure`: SQLite's message. `removed`: objects that earlier attempts removed. Any of our own tables as `table` means
 * all of {@link WRITTEN_WITH_FEED}.
 */
export function blockingObjects(
  db: Writer,
  table: string,
  failure: string,
  removed: ThirdPartyObject[],
): ThirdPartyObject[] {
  const tables = /^tidemark_/i.test(table) ? WRITTEN_WITH_FEED : [table];
  const all = tables
    .flatMap((name) => thirdPartyObjects(db, name))
    .filter(({ name }) => !removed.some((other) => other.name === name));
  const unique = all.filter(({ sql }) => /^CREATE\s+UNIQUE/i.test(sql));
  const triggers = all.filter(({ type }) => type === 'trigger');
  const ofThisTable = new RegExp(`^UNIQUE constraint failed: (index |${escaped(table)}\\.)`, 'i').test(failure);
  const candidates = ofThisTable ? [unique, triggers, all] : [triggers, unique, all];
  return candidates.find((objects) => objects.length > 0) ?? [];
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Whether SQLite refused a statement because of the definition or the rows of tables, not because of disk or file. */
export function isRejection(error: unknown): error is Error {
  const code = error instanceof Error ? String((error as { code?: unknown }).code ?? '') : '';
  return code === 'SQLITE_ERROR' || code === 'SQLITE_MISMATCH' || code.startsWith('SQLITE_CONSTRAINT');
}
