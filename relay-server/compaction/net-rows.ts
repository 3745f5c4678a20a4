import type { ChangeLine, WireRow } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import { FLAG, INTEGER, query, row, TEXT, value } from '@tidemark/table-store/query';
import { openWriter, prepared, type Writer } from '@tidemark/table-store/sqlite';

/**
 * Reduces the lines of a range to net changes: an insert and an update of a row become one insert; an insert and a
 * delete become nothing. The caller adds lines in log order. The rows are in a scratch file, so that memory does not
 * grow with the range. The file has no journal, because nobody uses it after a crash.
 */

/** The net changes of one kind in a table, as JSON text: keys for `d`, rows for the other kinds. */
interface NetChanges {
  kind: 'i' | 'u' | 'd';
  id: number;
  rows: Iterable<string>;
}

interface NetTable {
  id: number;
  /** Whether a truncate removed all rows from before the range, so that all net rows are inserts. */
  truncated: boolean;
}

const DDL = `
CREATE TABLE net_table (id INTEGER PRIMARY KEY, truncated INTEGER NOT NULL);
-- existed states whether the row existed before the range. row is its content at the end, or null if it was deleted.
CREATE TABLE net_row (id INTEGER, key TEXT, existed INTEGER NOT NULL, row TEXT, PRIMARY KEY (id, key)) WITHOUT ROWID;
-- Rows of keyless tables. The number of equal rows that were added is negative if rows were removed.
CREATE TABLE net_count (id INTEGER, row TEXT, n INTEGER NOT NULL, PRIMARY KEY (id, row)) WITHOUT ROWID;
`;

/** Size of SQLite's page cache in MiB. */
const CACHE_MIB = 32;

const TABLE = row({ id: INTEGER, truncated: FLAG });
const COUNTED = row({ row: TEXT, n: INTEGER });

export class NetRows {
  readonly #db: Writer;
  readonly #keys = new Map<number, number[]>();

  /** Creates the scratch file. The caller must remove it. */
  constructor(file: string) {
    this.#db = openWriter(file, { synchronous: 'normal', cacheMib: CACHE_MIB });
    this.#db.pragma('journal_mode = OFF');
    this.#db.pragma('synchronous = OFF');
    this.#db.exec(`${DDL} BEGIN`);
  }

  close(): void {
    this.#db.close();
  }

  /**
   * Adds a line of a table with this schema. Returns false if the range cannot be compacted: for a replaced, dropped or
   * altered table, and for an update of a keyless one.
   */
  addLine(line: ChangeLine, schema: TableSchema): boolean {
    const [kind, id] = line;
    if (kind === 'r' || kind === 'x' || kind === 'a') return false;
    const key = this.#keyOf(id, schema);
    if (kind === 't') this.#truncate(id);
    else if (key.length > 0) this.#keyed(kind, id, line[2], key);
    else if (kind === 'u') return false;
    else this.#counted(id, line[2], kind === 'i' ? 1 : -1);
    return true;
  }

  /** Returns the tables with changes, by id. */
  tables(): NetTable[] {
    const rows = query(this.#db, 'SELECT id, truncated FROM net_table ORDER BY id', TABLE).all();
    return rows.map(({ id, truncated }) => ({ id, truncated: truncated === 1 }));
  }

  /** Returns the net changes of a table: each row once, ordered by kind and then by key. */
  changes(id: number): NetChanges[] {
    if (this.#keys.get(id)?.length === 0)
      return [
        { kind: 'd', id, rows: this.#times(id, -1) },
        { kind: 'i', id, rows: this.#times(id, 1) },
      ];
    return [
      { kind: 'd', id, rows: this.#some(id, 'key', 'existed = 1 AND row IS NULL') },
      { kind: 'u', id, rows: this.#some(id, 'row', 'existed = 1 AND row IS NOT NULL') },
      { kind: 'i', id, rows: this.#some(id, 'row', 'existed = 0 AND row IS NOT NULL') },
    ];
  }

  #keyOf(id: number, schema: TableSchema): number[] {
    let key = this.#keys.get(id);
    if (!key) {
      key = schema.key.map((name) => schema.columns.findIndex((column) => column.name === name));
      this.#keys.set(id, key);
      prepared(this.#db, 'INSERT INTO net_table VALUES (?, 0)').run(id);
    }
    return key;
  }

  #keyed(kind: 'i' | 'u' | 'd', id: number, rows: WireRow[], keyAt: number[]): void {
    const put = prepared(
      this.#db,
      'INSERT INTO net_row VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET row = excluded.row',
    );
    for (const row of rows) {
      if (kind === 'd') put.run(id, JSON.stringify(row), 1, null);
      else put.run(id, JSON.stringify(keyAt.map((at) => row[at] ?? null)), kind === 'u' ? 1 : 0, JSON.stringify(row));
    }
  }

  #counted(id: number, rows: WireRow[], n: number): void {
    const add = prepared(
      this.#db,
      'INSERT INTO net_count VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n',
    );
    for (const row of rows) add.run(id, JSON.stringify(row), n);
  }

  #truncate(id: number): void {
    prepared(this.#db, 'DELETE FROM net_row WHERE id = ?').run(id);
    prepared(this.#db, 'DELETE FROM net_count WHERE id = ?').run(id);
    prepared(this.#db, 'UPDATE net_table SET truncated = 1 WHERE id = ?').run(id);
  }

  *#some(id: number, what: 'key' | 'row', where: string): Generator<string> {
    yield* query(this.#db, `SELECT ${what} FROM net_row WHERE id = ? AND ${where} ORDER BY key`, value(TEXT)).iterate(
      id,
    );
  }

  *#times(id: number, sign: 1 | -1): Generator<string> {
    const sql = 'SELECT row, n * ? AS n FROM net_count WHERE id = ? AND n * ? > 0 ORDER BY row';
    for (const { row: text, n } of query(this.#db, sql, COUNTED).iterate(sign, id, sign))
      for (let i = 0; i < n; i++) yield text;
  }
}
