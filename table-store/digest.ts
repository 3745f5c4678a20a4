import { createHash, type Hash } from 'node:crypto';
import type { DigestPart, KeyRange } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { WireKey, WireRow, WireValue } from '@tidemark/protocol/lines';
import type { ColumnSchema, ColumnType, TableSchema } from '@tidemark/protocol/schema';
import type { CooperativeTask } from './cooperative-task.ts';
import { toWire } from './row-statements.ts';
import { ident, prepared, type Reader, type Writer } from './sqlite.ts';

/**
 * Checksums of ranges of a table's rows, by docs/protocol.md C2 and C3: the same at relay and terminal, whatever the
 * version of SQLite. The encoding is made inside SQLite: reading the rows into JavaScript would cost several times as
 * much.
 */

/** Rows that are encoded at once; fewer where they are wide. */
const CHUNK_ROWS = 1000;
const FIRST_ROWS = 100;
/** About this many bytes are encoded at once. */
const CHUNK_BYTES = 1024 * 1024;
/** Columns of one `concat`: its arguments are limited. */
const CONCAT_COLUMNS = 40;
/** Characters of a digest, of the 64 of SHA-256 in hex. */
const DIGEST_LENGTH = 32;

export const EVERYTHING: KeyRange = { after: null, upto: null };

type Bound = string | number | bigint | Buffer | null;

/** SQL that writes a value so that no two values are written alike: its storage class, and itself. -0.0 is written as 0.0: they are equal to SQL, and JSON does not tell them apart. */
function valueSql({ name, type }: ColumnSchema, table: string): string {
  const x = `${table}.${ident(name)}`;
  const text = `WHEN 'text' THEN 't' || octet_length(${x}) || ':' || ${x}`;
  const integer = `WHEN 'integer' THEN 'i' || ${x}`;
  const nothing = `WHEN 'null' THEN 'n'`;
  const blob = `WHEN 'blob' THEN 'b' || hex(${x})`;
  // The decimals of a double differ by SQLite's version. Its whole part and 2^62 times the rest are exact, from 2^-10 on.
  const whole = `CAST(${x} AS INTEGER)`;
  const real = `WHEN 'real' THEN CASE WHEN abs(${x}) BETWEEN 0.001 AND 9e18
    THEN 'r' || ${whole} || '/' || CAST((${x} - ${whole}) * 4611686018427387904.0 AS INTEGER) ELSE 'q' || quote(${x} + 0.0) END`;
  // The likely ones first.
  const order: Record<ColumnType, string[]> = {
    integer: [integer, nothing, text, real, blob],
    numeric: [real, integer, nothing, text, blob],
    real: [real, nothing, integer, text, blob],
    text: [text, nothing, integer, real, blob],
    blob: [blob, nothing, text, integer, real],
  };
  return `CASE typeof(${x}) ${order[type].join(' ')} END`;
}

/** SQL that writes a row of `table` (a name or an alias, quoted), so that no two rows are written alike. */
export function rowSql(schema: TableSchema, table: string): string {
  const groups: string[] = [];
  for (let from = 0; from < schema.columns.length; from += CONCAT_COLUMNS) {
    const columns = schema.columns.slice(from, from + CONCAT_COLUMNS);
    groups.push(`concat(${columns.map((column) => `${valueSql(column, table)}, ','`).join(', ')})`);
  }
  return groups.join(' || ');
}

/** A value of a key or a row as it is bound. */
function bound(value: WireValue, type: ColumnType): Bound {
  if (value === null) return null;
  if (type === 'blob') return Buffer.from(String(value), 'base64');
  if (type !== 'integer') return value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (!/^-?\d{1,19}$/.test(value)) return value;
  const whole = BigInt(value);
  return BigInt.asIntN(64, whole) === whole ? whole : value;
}

/** The rows of one table, by ranges of its key. A table without a key has one range: all rows. */
export class TableRanges {
  readonly schema: TableSchema;
  readonly #db: Reader | Writer;
  readonly #table: string;
  readonly #columns: string;
  readonly #row: string;
  readonly #keyTypes: ColumnType[];
  readonly #key: string[];

  /** `database`: where the table stands. */
  constructor(db: Reader | Writer, schema: TableSchema, database = 'main') {
    this.#db = db;
    this.schema = schema;
    this.#table = `${ident(database)}.${ident(schema.name)}`;
    this.#columns = schema.columns.map(({ name }) => `t.${ident(name)}`).join(', ');
    this.#row = rowSql(schema, 't');
    this.#keyTypes = schema.key.map((name) => schema.columns.find((column) => column.name === name)?.type ?? 'text');
    this.#key = schema.key.map((name) => `t.${ident(name)}`);
  }

  /** Throws request_invalid when a range does not fit the table's key. */
  require(range: KeyRange): void {
    if (this.#key.length === 0) {
      const [skip = 0, ...more] = range.after ?? [];
      if (range.upto === null && more.length === 0 && Number.isSafeInteger(skip) && Number(skip) >= 0) return;
      throw new TidemarkError('request_invalid', {
        detail: `range: ${this.schema.name} has no key; its rows follow after a number of them`,
      });
    }
    for (const end of ['after', 'upto'] as const) {
      const key = range[end];
      if (key === null) continue;
      if (key.length !== this.#key.length || key.includes(null))
        throw new TidemarkError('request_invalid', {
          detail: `range.${end}: a key of ${this.schema.name} has ${this.#key.length} values, none of them null`,
        });
    }
  }

  count(range: KeyRange): number {
    const { where, values } = this.within(range);
    return prepared(this.#db, `SELECT count(*) FROM ${this.#table} AS t ${where}`).pluck().get(values) as number;
  }

  /** SQL of a range, over the alias `t`, and what is bound in it. */
  within({ after, upto }: KeyRange): { where: string; values: Bound[] } {
    const terms: string[] = [];
    const values: Bound[] = [];
    const places = this.#key.map(() => '?').join(', ');
    const add = (key: WireKey | null, sign: string) => {
      if (key === null) return;
      terms.push(`(${this.#key.join(', ')}) ${sign} (${places})`);
      values.push(...key.map((value, i) => bound(value, this.#keyTypes[i] ?? 'text')));
    };
    add(after, '>');
    add(upto, '<=');
    return { where: terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`, values };
  }

  /** Checksum of the rows in a range. */
  *digest(range: KeyRange): CooperativeTask<DigestPart> {
    const [part] = yield* this.split(range, 1, 0);
    return part ?? { upto: range.upto, rows: 0, digest: digestOf(createHash('sha256')) };
  }

  /**
   * Cuts a range into at most `parts` parts of `total / parts` rows, rounded up; the last one goes to the range's end.
   * `total`: the rows that it is taken to have, so that another table of as many rows is cut alike.
   */
  *split(range: KeyRange, parts: number, total = this.count(range)): CooperativeTask<DigestPart[]> {
    if (this.#key.length === 0) return [yield* this.#unordered()];
    const each = Math.max(1, Math.ceil(total / parts));
    const many = Math.max(1, Math.ceil(total / each));
    const all: DigestPart[] = [];
    const pace = { rows: FIRST_ROWS };
    let { after } = range;
    for (let n = 1; n <= many; n++) {
      const part = yield* this.#part({ after, upto: range.upto }, n < many ? each : Number.POSITIVE_INFINITY, pace);
      const last = part.upto === null || n === many;
      all.push({ ...part, upto: last ? range.upto : part.upto });
      if (last) break;
      after = part.upto;
    }
    return all;
  }

  /** The first rows of a range, at most `most`. `upto`: the key of the last of them; null when the range has no more. */
  *#part(range: KeyRange, most: number, pace: { rows: number }): CooperativeTask<DigestPart> {
    const hash = createHash('sha256');
    let { after } = range;
    let rows = 0;
    while (rows < most) {
      const wanted = Math.min(pace.rows, most - rows);
      const upto = this.#keyAt({ after, upto: range.upto }, wanted - 1);
      const chunk = this.#encoded({ after, upto: upto ?? range.upto }, wanted);
      if (chunk === null) {
        // Rows grew wide of a sudden.
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

  /** The key of a row by its number in a range, from 0; null: there are not so many. */
  #keyAt(range: KeyRange, number: number): WireKey | null {
    const { where, values } = this.within(range);
    const key = this.#key.join(', ');
    const found = prepared(this.#db, `SELECT ${key} FROM ${this.#table} AS t ${where} ORDER BY ${key} LIMIT 1 OFFSET ?`)
      .raw()
      .safeIntegers()
      .get([...values, number]) as unknown[] | undefined;
    return found?.map(toWire) ?? null;
  }

  /** The rows of a range, written one after the other; null: together they are larger than a value of SQLite may be. */
  #encoded(range: KeyRange, rows: number): { n: number; body: Buffer | null } | null {
    const { where, values } = this.within(range);
    // The limit, though there is none, keeps the order: without it SQLite may leave the ORDER BY out.
    const sql = `SELECT count(*) AS n, CAST(group_concat(x, '') AS BLOB) AS body FROM (
      SELECT ${this.#row} AS x FROM ${this.#table} AS t ${where} ORDER BY ${this.#key.join(', ')} LIMIT -1)`;
    try {
      return prepared(this.#db, sql).get(values) as { n: number; body: Buffer | null };
    } catch (error) {
      if (rows > 1 && (error as { code?: unknown }).code === 'SQLITE_TOOBIG') return null;
      throw error;
    }
  }

  /** Of a table without a key: its rows in the order in which they are written. */
  *#unordered(): CooperativeTask<DigestPart> {
    const hash = createHash('sha256');
    let rows = 0;
    let waiting = 0;
    const all = this.#db.prepare(
      `SELECT CAST(x AS BLOB) FROM (SELECT ${this.#row} AS x FROM ${this.#table} AS t) ORDER BY x`,
    );
    for (const row of all.pluck().iterate() as Iterable<Buffer>) {
      hash.update(row);
      rows++;
      if (++waiting < CHUNK_ROWS) continue;
      yield waiting;
      waiting = 0;
    }
    if (waiting > 0) yield waiting;
    return { upto: null, rows, digest: digestOf(hash) };
  }

  /**
   * The rows of a range as they travel, in key order, each with the key after which the next one follows. Of a table
   * without a key, of a database that does not change: in one order each time, and that key is the number of rows before.
   */
  *rows(range: KeyRange): Generator<{ row: WireRow; key: WireKey }> {
    const keyless = this.#key.length === 0;
    const skip = keyless ? Number(range.after?.[0] ?? 0) : 0;
    const { where, values } = keyless ? { where: '', values: [] } : this.within(range);
    const order = keyless ? '' : `ORDER BY ${this.#key.join(', ')}`;
    const found = this.#db
      .prepare(`SELECT ${this.#columns} FROM ${this.#table} AS t ${where} ${order} LIMIT -1 OFFSET ?`)
      .raw()
      .safeIntegers()
      .iterate([...values, skip]) as Iterable<unknown[]>;
    const places = this.schema.key.map((name) => this.schema.columns.findIndex((column) => column.name === name));
    let number = skip;
    for (const values of found) {
      const row = values.map(toWire);
      number++;
      yield { row, key: keyless ? [number] : places.map((place) => row[place] ?? null) };
    }
  }
}

const digestOf = (hash: Hash): string => hash.digest('hex').slice(0, DIGEST_LENGTH);

/** How many rows to encode next: so many as fill a chunk, by what the last ones weighed. */
function nextRows(wanted: number, rows: number, bytes: number): number {
  if (rows === 0) return wanted;
  const fitting = Math.floor(CHUNK_BYTES / Math.max(1, bytes / rows));
  return Math.max(1, Math.min(fitting, CHUNK_ROWS, Math.max(wanted, FIRST_ROWS) * 2));
}
