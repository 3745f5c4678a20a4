import Database from 'better-sqlite3';

/** Rows of a replica's table `item`, as every peer gets them. */
export function rowsOf(replica, limit) {
  const db = new Database(replica, { readonly: true });
  const rows = db.prepare('SELECT id, name, amount, at, note FROM item ORDER BY id LIMIT ?').all(limit);
  db.close();
  return rows;
}

export const say = (value) => console.log(`ready ${JSON.stringify(value)}`);
