import Database from 'better-sqlite3';

/** Returns the rows of a replica's table `item` in the form that every other engine stores. */
export function rowsOf(replica, limit) {
  const db = new Database(replica, { readonly: true });
  const rows = db.prepare('SELECT id, name, amount, at, note FROM item ORDER BY id LIMIT ?').all(limit);
  db.close();
  return rows;
}

export const say = (value) => console.log(`ready ${JSON.stringify(value)}`);
