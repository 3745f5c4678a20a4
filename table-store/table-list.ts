import { query, TEXT, value } from './query.ts';
import type { Reader, Writer } from './sqlite.ts';

/**
 * The list of a feed's tables in `tidemark_meta.tables`: a second record of the names in `tidemark_table`.
 *
 * Without it, rows that another program deletes from `tidemark_table` would go unnoticed, and their tables would never
 * receive another change. A caller that changes `tidemark_table` calls {@link saveTableList} in the same transaction.
 */
export function saveTableList(db: Writer): void {
  db.exec(
    'UPDATE tidemark_meta SET tables = (SELECT json_group_array(name) FROM (SELECT name FROM tidemark_table ORDER BY name))',
  );
}

/** Returns the names of the feed's tables when they last changed. A list that is not JSON counts as empty. */
export function listedTables(db: Writer | Reader): string[] {
  return query(
    db,
    "SELECT value FROM tidemark_meta, json_each(CASE WHEN json_valid(tables) THEN tables ELSE '[]' END) WHERE json_each.type = 'text'",
    value(TEXT),
  ).all();
}

/** Whether another program removed rows from `tidemark_table`. */
export function hasLostTables(db: Writer): boolean {
  const known = query(db, "SELECT name FROM tidemark_table WHERE typeof(name) = 'text'", value(TEXT)).all();
  return listedTables(db).some((name) => !known.includes(name));
}
