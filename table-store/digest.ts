import { createHash, type Hash } from 'node:crypto';
import type { DigestPart, KeyRange } from '@tidemark/protocol/api';
import type { WireKey, WireRow } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import type { CooperativeTask } from './cooperative-task.ts';
import { KeyColumns, type RangeSql } from './key-range.ts';
import { BLOB, INTEGER, orNull, ownQuery, query, RAW_ROW, row, value } from './query.ts';
import { rowTextSql } from './row-encoding.ts';
import { toWire } from './row-statements.ts';
import { ident, type Reader, type Writer } from './sqlite.ts';

/**
 * Checksums of ranges of a table's rows (docs/protocol.md C2 and C3). Relay and terminal compute the same checksum,
 * even with different versions of SQLite. See docs/decisions/2026-11-25-own-digest.md.
 *
 * Rows are encoded in chunks, in key order, and a checksum never depends on the chunks' boundaries. Chunk sizes follow
 * the width of the rows, so that neither many narrow rows nor a few wide ones block the thread or exceed SQLite's limit
 * on the size of a value. While several calls read a table without a key, the database must not change.
 */

/**
 * The largest number of rows to encode at once. The first chunk is smaller, because the width of the rows is not known
 * yet.
 */
const CHUNK_ROWS = 1000;
const FIRST_ROWS = 100;
/** The number of rows to count at once. */
const COUNT_ROWS = 20_000;
/** The approximate number of bytes to encode at once. */
const CHUNK_BYTES = 1024 * 1024;
/** Number of hex characters in a digest. SHA-256 has 64; the rest are cut off. */
const DIGEST_LENGTH = 32;

const CHUNK = row({ n: INTEGER, body: orNull(BLOB) });

/** The rows of one table, by ranges of its key. A table without a key has one range: all rows. */
export class TableRanges {
  readonly schema: TableSchema;
  readonly #db: Reader | Writer;
  readonly #table: string;
  readonly #columns: string;
  readonly #rowText: string;
  readonly #key: KeyColumns;

  /** `database`: the name of the attached database that contains the table. */
  constructor(db: Reader | Writer, schema: TableSchema, database = 'main') {
    this.#db = db;
    this.schema = schema;
    this.#table = `${ident(database)}.${ident(schema.name)}`;
    this.#columns = schema.columns.map(({ name }) => `t.${ident(name)}`).join(', ');
    this.#rowText = rowTextSql(schema, 't');
    this.#key = new KeyColumns(schema);
  }

  /** Throws `request_invalid` when a range does not fit the table's key. */
  require(range: KeyRange): void {
    this.#key.requireFits(range);
  }

  /** Returns SQL that selects a range, over the alias `t`. */
  within(range: KeyRange): RangeSql {
    return this.#key.within(range);
  }

  count(range: KeyRange): number {
    const { where, values } = this.within(range);
    return query(this.#db, `SELECT count(*) FROM ${this.#table} AS t ${where}`, value(INTEGER)).one(values);
  }

  /** Returns the checksum of the rows in a range. */
  *digest(range: KeyRange): CooperativeTask<DigestPart> {
    const [part] = yield* this.split(range, 1, 0);
    return part ?? { upto: range.upto, rows: 0, digest: digestOf(createHash('sha256')) };
  }

  /**
   * Cuts a range into at most `parts` parts of `total / parts` rows, rounded up. The last part ends where the range
   * ends. `total`: the number of rows to assume, so that relay and terminal cut at the same keys. By default, the rows
   * of the range.
   */
  *split(range: KeyRange, parts: number, total?: number): CooperativeTask<DigestPart[]> {
    if (this.#key.isEmpty) return [yield* this.#keylessDigest()];
    const rows = total ?? (yield* this.#countInSteps(range));
    const rowsPerPart = Math.max(1, Math.ceil(rows / parts));
    const count = Math.max(1, Math.ceil(rows / rowsPerPart));
    const all: DigestPart[] = [];
    const pace = { rows: FIRST_ROWS };
    let { after } = range;
    for (let n = 1; n <= count; n++) {
      const limit = n < count ? rowsPerPart : Number.POSITIVE_INFINITY;
      const part = yield* this.#firstRows({ after, upto: range.upto }, limit, pace);
      const isLast = part.upto === null || n === count;
      all.push({ ...part, upto: isLast ? range.upto : part.upto });
      if (isLast) break;
      after = part.upto;
    }
    return all;
  }

  *#countInSteps(range: KeyRange): CooperativeTask<number> {
    // SQLite counts a complete table fast, because it reads no keys.
    if (range.after === null && range.upto === null) return this.count(range);
    let rows = 0;
    let { after } = range;
    for (;;) {
      const upto = this.#keyAt({ after, upto: range.upto }, COUNT_ROWS - 1);
      if (upto === null) return rows + this.count({ after, upto: range.upto });
      rows += COUNT_ROWS;
      after = upto;
      yield 0;
    }
  }

  /**
   * Returns the checksum of the first rows of a range. `upto`: the key of the last of them. Null when the range ends
   * there.
   */
  *#firstRows(range: KeyRange, limit: number, pace: { rows: number }): CooperativeTask<DigestPart> {
    const hash = createHash('sha256');
    let { after } = range;
    let rows = 0;
    while (rows < limit) {
      const wanted = Math.min(pace.rows, limit - rows);
      const upto = this.#keyAt({ after, upto: range.upto }, wanted - 1);
      const chunk = this.#encode({ after, upto: upto ?? range.upto }, wanted);
      if (chunk === null) {
        // These rows are much wider than the previous ones.
        pace.rows = Math.ceil(wanted / 10);
        continue;
      }
      const { n, body } = chunk;
      if (body !== null) hash.update(body);
      rows += n;
      pace.rows = nextRows(wanted, n, body?.length ?? 0);
      if (n > 0) yield n;
      if (upto === null) return { upto: null, rows, digest: digestOf(hash) };
      after = upto;
    }
    return { upto: after, rows, digest: digestOf(hash) };
  }

  /** Returns the key of row number `n` in a range, counted from 0. Null when the range has fewer rows. */
  #keyAt(range: KeyRange, number: number): WireKey | null {
    const { where, values } = this.within(range);
    const { sql } = this.#key;
    const found = query(
      this.#db,
      `SELECT ${sql} FROM ${this.#table} AS t ${where} ORDER BY ${sql} LIMIT 1 OFFSET ?`,
      RAW_ROW,
    ).get([...values, number]);
    return found?.map(toWire) ?? null;
  }

  /** Returns the texts of all rows of a range, joined. Null when they exceed SQLite's limit on the size of a value. */
  #encode(range: KeyRange, rows: number): { n: number; body: Buffer | null } | null {
    const { where, values } = this.within(range);
    // `LIMIT -1` keeps the order: without a limit SQLite may ignore the ORDER BY of a subquery.
    const sql = `SELECT count(*) AS n, CAST(group_concat(x, '') AS BLOB) AS body FROM (
      SELECT ${this.#rowText} AS x FROM ${this.#table} AS t ${where} ORDER BY ${this.#key.sql} LIMIT -1)`;
    try {
      return query(this.#db, sql, CHUNK).one(values);
    } catch (error) {
      if (rows > 1 && (error as { code?: unknown }).code === 'SQLITE_TOOBIG') return null;
      throw error;
    }
  }

  /** Returns the checksum of a table without a key: its rows in the order of their texts. */
  *#keylessDigest(): CooperativeTask<DigestPart> {
    const hash = createHash('sha256');
    let rows = 0;
    let sinceYield = 0;
    const texts = ownQuery(
      this.#db,
      `SELECT CAST(x AS BLOB) FROM (SELECT ${this.#rowText} AS x FROM ${this.#table} AS t) ORDER BY x`,
      value(BLOB),
    );
    for (const text of texts.iterate()) {
      hash.update(text);
      rows++;
      if (++sinceYield < CHUNK_ROWS) continue;
      yield sinceYield;
      sinceYield = 0;
    }
    if (sinceYield > 0) yield sinceYield;
    return { upto: null, rows, digest: digestOf(hash) };
  }

  /**
   * Yields the rows of a range in wire format, in key order, each with the key at which reading can resume. In a table
   * without a key, that key is the number of rows so far; the order repeats while the database does not change.
   */
  *rows(range: KeyRange): Generator<{ row: WireRow; key: WireKey }> {
    const keyless = this.#key.isEmpty;
    const skip = keyless ? Number(range.after?.[0] ?? 0) : 0;
    const { where, values } = keyless ? { where: '', values: [] } : this.within(range);
    const order = keyless ? '' : `ORDER BY ${this.#key.sql}`;
    const found = ownQuery(
      this.#db,
      `SELECT ${this.#columns} FROM ${this.#table} AS t ${where} ${order} LIMIT -1 OFFSET ?`,
      RAW_ROW,
    );
    const keyIndexes = this.schema.key.map((name) => this.schema.columns.findIndex((column) => column.name === name));
    let number = skip;
    for (const columns of found.iterate([...values, skip])) {
      const wireRow = columns.map(toWire);
      number++;
      yield { row: wireRow, key: keyless ? [number] : keyIndexes.map((index) => wireRow[index] ?? null) };
    }
  }
}

const digestOf = (hash: Hash): string => hash.digest('hex').slice(0, DIGEST_LENGTH);

/** Returns how many rows to encode next. They fill a chunk if they are as wide as the previous ones. */
function nextRows(wanted: number, rows: number, bytes: number): number {
  if (rows === 0) return wanted;
  const fitting = Math.floor(CHUNK_BYTES / Math.max(1, bytes / rows));
  return Math.max(1, Math.min(fitting, CHUNK_ROWS, Math.max(wanted, FIRST_ROWS) * 2));
}
