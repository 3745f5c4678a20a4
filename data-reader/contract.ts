import { ColumnType } from '@tidemark/protocol/schema';
import { Time } from '@tidemark/protocol/time';
import { SetAsideReason } from '@tidemark/protocol/trouble';
import { z } from 'zod';

/**
 * The calls that the reader process answers. Caller and handler are both derived from this table. The window makes the
 * calls of `WINDOW_METHODS`, and the desktop shell passes them on unchanged. Nothing here depends on Node.js, because
 * the window imports it.
 */

/** Largest number of rows in one answer. */
export const MAX_PAGE_ROWS = 200;
/** Largest number of filters in one request. */
export const MAX_FILTERS = 20;
/** Text and blobs of more bytes than this are cut in a page. `data.value` returns them in pieces. */
export const CUT_ABOVE_BYTES = 4096;
/** Number of characters of a cut text, and of bytes of a blob, that a page contains. */
export const SHOWN_CHARACTERS = 300;
export const SHOWN_BLOB_BYTES = 32;
/** Largest piece of a value: characters of a text, or bytes of a blob. */
export const MAX_PIECE = 65_536;
/** Time limit of one query, ms. The desktop shell ends a reader process that exceeds it. */
export const QUERY_LIMIT_MS = 30_000;
/** The process that runs a query cannot answer meanwhile, so the limit of the call is only a second safeguard. */
const CALL_LIMIT_MS = 3 * QUERY_LIMIT_MS;

export const FilterOperator = z.enum(['contains', 'equals', 'greater', 'less', 'is-null', 'is-not-null']);
export type FilterOperator = z.infer<typeof FilterOperator>;

/** A condition on one column. `value` is the text that a person typed; the operators about NULL ignore it. */
export const Filter = z.object({ column: z.string(), operator: FilterOperator, value: z.string().max(1000) });
export type Filter = z.infer<typeof Filter>;

/** Rows of one table, in an order. All filters must match. Without `sort`, rows are in the order of their key. */
export const RowSet = z.object({
  table: z.string(),
  filters: z.array(Filter).max(MAX_FILTERS),
  sort: z.object({ column: z.string(), descending: z.boolean() }).nullable(),
});
export type RowSet = z.infer<typeof RowSet>;

/**
 * A value as text, exact over 64 bits and for decimals. Null: NULL. A cut text has its first characters in `text` and
 * its size in `bytes`. A blob has its first bytes as hexadecimal digits.
 */
export const Cell = z.union([
  z.null(),
  z.object({ type: z.enum(['integer', 'real', 'text']), text: z.string() }),
  z.object({ type: z.literal('cut'), text: z.string(), bytes: z.int().nonnegative() }),
  z.object({ type: z.literal('blob'), hex: z.string(), bytes: z.int().nonnegative() }),
]);
export type Cell = z.infer<typeof Cell>;

/** Identifies a row of a table. Only the reader process interprets it. */
export const RowKey = z.string();

export const Column = z.object({
  name: z.string(),
  type: ColumnType,
  /** The master's own type name, for display. */
  source: z.string(),
  /** Whether the column is a part of the key. */
  isKey: z.boolean(),
  /** Whether the values are numbers. Wide decimals are numbers with the type `text`. */
  isNumber: z.boolean(),
});
export type Column = z.infer<typeof Column>;

export const TableInfo = z.object({
  name: z.string(),
  /** Number of rows, as the writer of the replica counts them. */
  rows: z.int().nonnegative(),
  columns: z.array(Column),
  /** Why the table does not follow the master. Null: it follows. */
  setAside: z.object({ reason: SetAsideReason, asOf: Time }).nullable(),
});
export type TableInfo = z.infer<typeof TableInfo>;

export const RowPage = z.object({
  /** The rows, each with its cells in the order of the table's columns. */
  rows: z.array(z.object({ key: RowKey, cells: z.array(Cell) })),
  /** Number of rows in the row set. Null while the reader still counts them. */
  total: z.int().nonnegative().nullable(),
});
export type RowPage = z.infer<typeof RowPage>;

export const WINDOW_METHODS = {
  /** Returns the tables by name. Empty while the replica holds no data. Throws `db_*`. */
  'data.tables': { in: z.object({}), out: z.array(TableInfo), timeoutMs: CALL_LIMIT_MS },
  /** Returns the rows from row number `from`, which counts from 0. Throws `table_unknown`, `replica_altered`, `db_*`. */
  'data.rows': {
    in: z.object({
      set: RowSet,
      from: z.int().nonnegative(),
      limit: z.int().min(1).max(MAX_PAGE_ROWS),
    }),
    out: RowPage,
    timeoutMs: CALL_LIMIT_MS,
  },
  /** Returns the number of rows. Null while the reader still counts them. */
  'data.count': {
    in: z.object({ set: RowSet }),
    out: z.object({ total: z.int().nonnegative().nullable() }),
    timeoutMs: CALL_LIMIT_MS,
  },
  /**
   * Returns a piece of a text or a blob. `offset` counts characters of a text, or bytes of a blob, whose piece is in
   * hexadecimal digits. `next`: the offset of the next piece, or null at the end. Throws `row_gone`.
   */
  'data.value': {
    in: z.object({
      table: z.string(),
      key: RowKey,
      column: z.string(),
      offset: z.int().nonnegative(),
      length: z.int().min(1).max(MAX_PIECE),
    }),
    out: z.object({
      type: z.enum(['text', 'blob']),
      piece: z.string(),
      bytes: z.int().nonnegative(),
      next: z.int().positive().nullable(),
    }),
    timeoutMs: CALL_LIMIT_MS,
  },
} as const;

/** Calls that the reader process answers. */
export const READER_METHODS = { ...WINDOW_METHODS } as const;

export const READER_EVENTS = {
  /** The process accepts calls. */
  ready: z.object({}),
} as const;
