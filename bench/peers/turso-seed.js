// Fills the database of Turso's sync server: `node turso-seed.js <replica> <file>`. Kills itself at the end, so that
// SQLite does not checkpoint the log.
import Database from 'better-sqlite3';
import { rowsOf } from './data.js';

const [replica, file] = process.argv.slice(2);
const db = new Database(file);
db.pragma('journal_mode = WAL');
db.pragma('wal_autocheckpoint = 0');
db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, amount NUMERIC, at TEXT, note TEXT)');
const insert = db.prepare('INSERT INTO item VALUES (@id, @name, @amount, @at, @note)');
db.transaction(() => {
  for (const row of rowsOf(replica, -1)) insert.run(row);
})();
process.kill(process.pid, 'SIGKILL');
