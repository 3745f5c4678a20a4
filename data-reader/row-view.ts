import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { INTEGER, ownQuery, RAW_ROW, type SqliteValue, value } from '@tidemark/table-store/query';
import { ident, type Reader } from '@tidemark/table-store/sqlite';
import { rowidOf } from '@tidemark/table-store/table-ddl';
import { cellSql, SQL_PER_CELL, toCell } from './cells.ts';
import type { Cell, RowSet } from './contract.ts';
import { filterSql, isWideDecimal } from './filter-sql.ts';
import { encodeKey, Keyset, type Position, type SqlPart } from './keyset.ts';

/**
 * One row set of a table, and the positions in it that are known by their row number.
 *
 * SQLite finds a position in an index at once, but finds the millionth row only by stepping over the rows before it. The
 * view therefore keeps marks: positions with their row numbers. {@link RowView.rows} steps from the nearest mark, or
 * from the end. {@link RowView.survey} adds a mark every {@link STEP_ROWS} rows and counts the rows, a bounded step per
 * call. A view of a table in the order of an unindexed column has marks only where rows were read, because SQLite sorts
 * the rows for each page.
 *
 * Marks are valid for one state of the database. The caller discards the view when the data changes, and runs each
 * method inside a read transaction.
 */

/** Number of rows of one step of the survey. A page is at most half of it away from a mark. */
const STEP_ROWS = 5000;
/** Columns of one statement: SQLite returns at most 2,000 values per row. */
const MAX_COLUMNS = 900;
/** Rows read at a distance smaller than this from a mark add no mark. */
const MIN_MARK_DISTANCE = 1000;

interface Mark {
  /** Number of rows up to the position, including a row at the position. */
  rows: number;
  position: Position;
  /** Whether a row of the row set is at the position. Filters may exclude it. */
  isRow: boolean;
}

export interface ViewRow {
  key: string;
  cells: Cell[];
}

/** Where to start reading: after or before a position, or at an end of the row set. */
interface Start {
  position: Position | null;
  backwards: boolean;
  offset: number;
}

export class RowView {
  readonly #schema: TableSchema;
  readonly #table: string;
  readonly #key: readonly string[];
  readonly #filter: SqlPart;
  readonly #order: Keyset;
  /** The order of the survey, which always has an index. */
  readonly #keyOrder: Keyset;
  readonly #marks: Mark[] = [];
  /** How far the survey has read. Null: it has not begun. */
  #surveyed: Mark | null = null;
  #isSurveyed = false;
  #total: number | null = null;
  /** Number of rows that the replica's writer counted. Null when the view has filters. */
  readonly #stated: number | null;

  /** `stated`: the number of rows of the table, as the replica's writer counts them. Throws `request_invalid`. */
  constructor(schema: TableSchema, { filters, sort }: RowSet, stated: number) {
    this.#schema = schema;
    this.#table = `${ident(schema.name)} AS t`;
    this.#key = keyOf(schema);
    this.#filter = filterSql(filters, schema.columns);
    const column = schema.columns.find(({ name }) => name === sort?.column);
    const term = column ? { column: column.name, numeric: isWideDecimal(column) } : null;
    const descending = sort?.descending ?? false;
    this.#order = new Keyset(this.#key, term, descending);
    this.#keyOrder = new Keyset(this.#key, null, descending);
    this.#stated = filters.length === 0 ? stated : null;
  }

  /** Number of rows. Null while they are being counted. */
  get total(): number | null {
    return this.#total ?? this.#stated;
  }

  get isSurveyed(): boolean {
    return this.#isSurveyed;
  }

  /** Returns up to `limit` rows from row number `from`. */
  rows(db: Reader, from: number, limit: number): ViewRow[] {
    const { count, ...start } = this.#nearest(from, limit);
    const found = this.#read(db, start, count);
    if (start.backwards) found.reverse();
    const end = from + found.length;
    // The forward read reached the end, so the number of rows is exact, whatever the writer of the replica counted.
    if (!start.backwards && found.length < limit && (found.length > 0 || from === 0)) this.#total = end;
    const last = found.at(-1);
    if (last) this.#mark({ rows: end, position: last.position, isRow: true });
    return found.map(({ row }) => row);
  }

  /** Returns up to `limit` rows after a row's position or before it, in the view's order. Null: from an end. */
  beside(
    db: Reader,
    position: Position | null,
    backwards: boolean,
    limit: number,
  ): { row: ViewRow; position: Position }[] {
    const found = this.#read(db, { position, backwards, offset: 0 }, limit);
    return backwards ? found.reverse() : found;
  }

  /** Counts the rows of the next step and marks its end. Returns false when all rows are counted. */
  survey(db: Reader): boolean {
    if (this.#isSurveyed) return false;
    const after = this.#surveyed;
    const begin = after === null ? null : this.#keyOrder.beyond(after.position, false);
    const end = this.#stepEnd(db, begin);
    const parts = [begin, end === null ? null : this.#keyOrder.upTo(end), this.#filter].filter(isCondition);
    const rows = (after?.rows ?? 0) + this.#count(db, parts, end === null);
    if (end === null) {
      this.#total = rows;
      this.#isSurveyed = true;
      return false;
    }
    this.#surveyed = { rows, position: end, isRow: this.#filter.sql === '' };
    if (this.#order.isKeyOrder) this.#mark(this.#surveyed);
    return true;
  }

  #stepEnd(db: Reader, begin: SqlPart | null): Position | null {
    const sql = `SELECT ${this.#keyOrder.terms.join(', ')} FROM ${this.#table} ${whereOf(begin)} ORDER BY ${this.#keyOrder.orderBy(false)} LIMIT 1 OFFSET ${STEP_ROWS - 1}`;
    return ownQuery(db, sql, RAW_ROW).get(...(begin?.values ?? [])) ?? null;
  }

  #count(db: Reader, parts: SqlPart[], isLast: boolean): number {
    // Without a filter, a step before the end has exactly its size.
    if (this.#filter.sql === '' && !isLast) return STEP_ROWS;
    const { sql, values } = join(parts);
    return ownQuery(db, `SELECT count(*) FROM ${this.#table} ${sql}`, value(INTEGER)).one(...values);
  }

  /** Returns the start with the fewest rows to step over, and the number of rows to read. */
  #nearest(from: number, limit: number): Start & { count: number } {
    const next = this.#marks.findIndex(({ rows }) => rows > from);
    const before = this.#marks[(next < 0 ? this.#marks.length : next) - 1];
    const starts = [
      { position: before?.position ?? null, backwards: false, offset: from - (before?.rows ?? 0), count: limit },
    ];
    // Reading backwards from the row at a mark begins with the row before it.
    const after = this.#marks.find(({ rows, isRow }) => isRow && rows - 1 >= from + limit);
    if (after) {
      const offset = after.rows - 1 - from - limit;
      starts.push({ position: after.position, backwards: true, offset, count: limit });
    }
    const { total } = this;
    if (total !== null && from < total) {
      const count = Math.min(limit, total - from);
      starts.push({ position: null, backwards: true, offset: total - from - count, count });
    }
    return starts.reduce((best, each) => (each.offset < best.offset ? each : best));
  }

  /** Keeps a mark unless another one is near. */
  #mark(mark: Mark): void {
    const next = this.#marks.findIndex(({ rows }) => rows > mark.rows);
    const at = next < 0 ? this.#marks.length : next;
    const isNear = [this.#marks[at - 1], this.#marks[at]].some(
      (other) => other !== undefined && Math.abs(other.rows - mark.rows) < MIN_MARK_DISTANCE,
    );
    if (!isNear) this.#marks.splice(at, 0, mark);
  }

  #read(db: Reader, { position, backwards, offset }: Start, limit: number): { row: ViewRow; position: Position }[] {
    const beyond = position === null ? null : this.#order.beyond(position, backwards);
    const where = join([beyond, this.#filter].filter(isCondition));
    const { terms } = this.#order;
    const named = (prefix: string, sql: readonly string[]) => sql.map((each, i) => `${each} AS ${prefix}${i}`);
    const key = this.#key.map((name) => `t.${ident(name)}`);
    // The inner query finds the rows by their position only, so that a sort does not carry their values.
    const inner = `SELECT ${[...named('o', terms), ...named('k', key)].join(', ')} FROM ${this.#table} ${where.sql} ORDER BY ${this.#order.orderBy(backwards)} LIMIT ? OFFSET ?`;
    const same = key.map((name, i) => `${name} = p.k${i}`).join(' AND ');
    const selected = [...terms, ...key].map((_, i) => (i < terms.length ? `p.o${i}` : `p.k${i - terms.length}`));
    const from = `FROM (${inner}) AS p CROSS JOIN ${this.#table} ON ${same}`;
    const bindings = [...where.values, limit, offset];
    const [found = [], ...more] = this.#columnGroups().map((columns) =>
      ownQuery(db, `SELECT ${[...selected, ...columns.map(cellSql)].join(', ')} ${from}`, RAW_ROW).all(...bindings),
    );
    const own = selected.length;
    return found.map((values, i) => {
      const cells = [values, ...more.map((group) => group[i] ?? [])].flatMap((group) => group.slice(own));
      return {
        position: values.slice(0, terms.length),
        row: { key: encodeKey(values.slice(terms.length, own)), cells: this.#cells(cells) },
      };
    });
  }

  /** Returns the columns in groups that one statement can select. A table of Postgres has up to 1,600 columns. */
  #columnGroups(): ColumnSchema[][] {
    const { columns } = this.#schema;
    const groups = Array.from({ length: Math.ceil(columns.length / MAX_COLUMNS) }, (_, i) => i * MAX_COLUMNS);
    return groups.map((at) => columns.slice(at, at + MAX_COLUMNS));
  }

  #cells(values: readonly SqliteValue[]): Cell[] {
    return this.#schema.columns.map((column, i) =>
      toCell(values[SQL_PER_CELL * i] ?? null, values[SQL_PER_CELL * i + 1] ?? null, column),
    );
  }
}

/** Returns the columns that identify a row: the key, or the rowid of a table without a key. */
export const keyOf = (schema: TableSchema): readonly string[] =>
  schema.key.length > 0 ? schema.key : [rowidOf(schema)];

const isCondition = (part: SqlPart | null): part is SqlPart => part !== null && part.sql !== '';

function join(parts: readonly SqlPart[]): SqlPart {
  const sql = parts.length === 0 ? '' : `WHERE ${parts.map((part) => part.sql).join(' AND ')}`;
  return { sql, values: parts.flatMap(({ values }) => values) };
}

const whereOf = (part: SqlPart | null): string => (part === null ? '' : `WHERE ${part.sql}`);
