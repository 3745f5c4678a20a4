import { statSync } from 'node:fs';
import type { Handlers } from '@tidemark/calls/server';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { TableSchema } from '@tidemark/protocol/schema';
import { isReadable, requireFeed } from '@tidemark/table-store/format';
import { INTEGER, ownQuery, query, RAW_ROW, row, TEXT, UNKNOWN, value } from '@tidemark/table-store/query';
import { guard, ident, openReader, type Reader } from '@tidemark/table-store/sqlite';
import { readStoredSchema } from '@tidemark/table-store/stored-schema';
import type { RowSet, TableInfo, WINDOW_METHODS } from './contract.ts';
import { isNumber } from './filter-sql.ts';
import { decodeKey } from './keyset.ts';
import { keyOf, RowView } from './row-view.ts';

/**
 * Reads a replica for people: its tables, their rows, and single values.
 *
 * The replica is opened read-only, and never while a call is not running it stays in a read transaction: the writer
 * could not shorten its write-ahead log. The terminal may replace or remove the file at any time, so each call first
 * compares the open file with the file of that name. A file without data is closed after each call, because the
 * terminal renames a first fresh copy over it, which Windows refuses for an open file.
 */

type Methods = Handlers<typeof WINDOW_METHODS>;

/** Views that are kept with their marks. */
const MAX_VIEWS = 8;

const STORED = row({ name: TEXT, rows: INTEGER, schema: UNKNOWN });

interface Table {
  schema: TableSchema;
  rows: number;
}

export class ReplicaReader {
  readonly #file: string;
  readonly #feed: string;
  #db: Reader | null = null;
  /** Device and number of the open file. */
  #identity = '';
  #dataVersion: unknown = null;
  /** Tables by name. Valid for one data version. */
  #tables: Map<string, Table> | null = null;
  /** Views by their row set, the most recently used last. Valid for one data version. */
  readonly #views = new Map<string, RowView>();

  constructor(file: string, feed: string) {
    this.#file = file;
    this.#feed = feed;
  }

  /** Returns the tables by name. Empty while there is no data. */
  readonly tables: Methods['data.tables'] = () =>
    this.#inTransaction(() => [...this.#known().values()].map(toInfo)) ?? [];

  readonly rows: Methods['data.rows'] = ({ set, from, limit }) =>
    this.#withTable(set.table, (db, table) => {
      const view = this.#view(set, table);
      return { rows: view.rows(db, from, limit), total: view.total };
    });

  readonly count: Methods['data.count'] = ({ set }) =>
    this.#withTable(set.table, (_, table) => ({ total: this.#view(set, table).total }));

  readonly value: Methods['data.value'] = ({ table: name, key, column, offset, length }) =>
    this.#withTable(name, (db, { schema }) => {
      const columns = keyOf(schema);
      if (!schema.columns.some((each) => each.name === column))
        throw new TidemarkError('request_invalid', { detail: 'column: the table has no such column' });
      const where = columns.map((each) => `${ident(each)} IS ?`).join(' AND ');
      const sql = `SELECT typeof(c), octet_length(c), substr(c, ?, ?), length(c) FROM (SELECT ${ident(column)} AS c FROM ${ident(name)} WHERE ${where})`;
      const found = ownQuery(db, sql, RAW_ROW).get(
        BigInt(offset + 1),
        BigInt(length),
        ...decodeKey(key, columns.length),
      );
      if (!found) throw new TidemarkError('row_gone', { table: name });
      const [type, bytes, piece, total] = found;
      const next = offset + length < Number(total) ? offset + length : null;
      return Buffer.isBuffer(piece)
        ? { type: 'blob', piece: piece.toString('hex'), bytes: Number(bytes), next }
        : { type: type === 'blob' ? 'blob' : 'text', piece: String(piece ?? ''), bytes: Number(bytes ?? 0), next };
    });

  /**
   * Counts a bounded number of rows of the view that was used last. Returns false when nothing remains to be counted.
   * Faults are left to the next call of a person.
   */
  survey(): boolean {
    const current = [...this.#views.values()].at(-1);
    if (!current || current.isSurveyed) return false;
    try {
      // Another view, or none, is current if the data has changed.
      return this.#inTransaction((db) => [...this.#views.values()].at(-1)?.survey(db) ?? false) ?? false;
    } catch {
      this.close();
      return false;
    }
  }

  /** Closes the file. The next call opens it. */
  close(): void {
    this.#db?.close();
    this.#db = null;
    this.#forget();
  }

  #withTable<T>(name: string, work: (db: Reader, table: Table) => T): T {
    const result = this.#inTransaction((db) => {
      const table = this.#known().get(name);
      if (!table) throw new TidemarkError('table_unknown', { table: name });
      try {
        return { value: work(db, table) };
      } catch (error) {
        // Our statements name only columns of the stored schema, so the table differs from it.
        if ((error as { code?: unknown }).code !== 'SQLITE_ERROR') throw error;
        throw new TidemarkError('replica_altered', { table: name, detail: (error as Error).message }, error as Error);
      }
    });
    if (!result) throw new TidemarkError('table_unknown', { table: name });
    return result.value;
  }

  #view(set: RowSet, { schema, rows }: Table): RowView {
    const key = JSON.stringify(set);
    const view = this.#views.get(key) ?? new RowView(schema, set, rows);
    this.#views.delete(key);
    this.#views.set(key, view);
    const [oldest] = this.#views.keys();
    if (this.#views.size > MAX_VIEWS && oldest !== undefined) this.#views.delete(oldest);
    return view;
  }

  /** Runs `work` on one state of the database. Returns null when there is no file. */
  #inTransaction<T>(work: (db: Reader) => T): T | null {
    const db = this.#open();
    if (!db) return null;
    try {
      return guard(this.#file, () => {
        db.exec('BEGIN');
        try {
          this.#notice(db);
          return work(db);
        } finally {
          db.exec('COMMIT');
        }
      });
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.code.startsWith('db_')) this.close();
      throw error;
    } finally {
      if (this.#tables?.size === 0) this.close();
    }
  }

  /** Opens the file of this name, and closes a previous one that it replaced. Returns null when there is none. */
  #open(): Reader | null {
    const stat = guard(this.#file, () => statSync(this.#file, { bigint: true, throwIfNoEntry: false }));
    const identity = stat ? `${stat.dev}/${stat.ino}` : '';
    if (identity !== this.#identity) this.close();
    this.#identity = identity;
    if (identity === '') return null;
    this.#db ??= openReader(this.#file);
    return this.#db;
  }

  /** Forgets everything that was read from an earlier state of the data. */
  #notice(db: Reader): void {
    const version = query(db, 'SELECT data_version FROM pragma_data_version', value(INTEGER)).one();
    if (version === this.#dataVersion && this.#tables) return;
    this.#forget();
    requireFeed(db, this.#feed);
    this.#tables = isReadable(db, 'tidemark_table') ? readTables(db) : new Map();
    this.#dataVersion = version;
  }

  #forget(): void {
    this.#tables = null;
    this.#views.clear();
  }

  #known(): Map<string, Table> {
    return this.#tables ?? new Map();
  }
}

/** Reads the tables by name. Leaves out tables whose stored schema is unreadable, which the next sync replaces. */
function readTables(db: Reader): Map<string, Table> {
  const tables = new Map<string, Table>();
  const sql = `SELECT name, rows, schema FROM tidemark_table WHERE typeof(name) = 'text' AND typeof(rows) = 'integer' AND rows >= 0 ORDER BY name`;
  for (const { name, rows, schema: stored } of query(db, sql, STORED).all()) {
    const schema = readStoredSchema(stored, name);
    if (schema) tables.set(name, { schema, rows });
  }
  return tables;
}

const toInfo = ({ schema, rows }: Table): TableInfo => ({
  name: schema.name,
  rows,
  columns: schema.columns.map((column) => ({
    name: column.name,
    type: column.type,
    source: column.source,
    isKey: schema.key.includes(column.name),
    isNumber: isNumber(column),
  })),
  setAside: schema.setAside ? { reason: schema.setAside.reason, asOf: Date.parse(schema.setAside.asOf) } : null,
});
