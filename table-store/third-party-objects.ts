import { WRITTEN_WITH_FEED } from './own-tables.ts';
import { columnKind, query, row, TEXT } from './query.ts';
import { ident, type Writer } from './sqlite.ts';

/**
 * Indexes and triggers that other programs created on our tables.
 *
 * We keep them if possible, and create them again on a table that replaces their table. We drop them only if they block
 * a change of the feed, because only the feed may change its tables. Callers work inside a transaction and report the
 * names of dropped objects.
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

/** Returns the objects of other programs on this table, oldest first. SQLite drops them together with the table. */
export function thirdPartyObjects(db: Writer, table: string): ThirdPartyObject[] {
  return query(
    db,
    `SELECT type, name, sql FROM main.sqlite_schema WHERE type IN ('index', 'trigger') AND lower(tbl_name) = lower(?)
       AND sql IS NOT NULL AND name NOT LIKE 'tidemark\\_%' ESCAPE '\\' ORDER BY rowid`,
    OBJECT,
  ).all(table);
}

/** Creates the objects again on a table that replaced theirs. Returns the names of the objects that SQLite rejects. */
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
 * Returns the objects that most likely caused a rejected change, to be dropped before the next attempt: unique indexes
 * when a unique constraint of this table failed, otherwise triggers. Empty when no object of another program is left.
 * `failure`: SQLite's message. `removed`: objects that earlier attempts dropped. If `table` is one of our own tables,
 * all of {@link WRITTEN_WITH_FEED} are searched.
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

/**
 * Whether SQLite rejected a statement because of the definition or the rows of tables, rather than the disk or the
 * file.
 */
export function isRejection(error: unknown): error is Error {
  const code = error instanceof Error ? String((error as { code?: unknown }).code ?? '') : '';
  return code === 'SQLITE_ERROR' || code === 'SQLITE_MISMATCH' || code.startsWith('SQLITE_CONSTRAINT');
}
