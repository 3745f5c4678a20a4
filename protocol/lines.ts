import { z } from 'zod';
import { Seq } from './cursor.ts';
import { SourcePosition } from './position.ts';
import { TableId, TableSchema } from './schema.ts';

/**
 * The lines of pages (relay to terminal) and batches (feed to relay): UTF-8, one JSON array per line, each line ended by
 * '\n'. Row lines are the same on both hops, so the relay can store and send the bytes that it received. See section L of
 * docs/protocol.md and docs/decisions/2026-11-23-log-keeps-wire-lines.md.
 */

/** One value on the wire. The column's type determines its form, see schema.ts. */
export type WireValue = string | number | null;
/** A row with every column, in the schema's order. */
export type WireRow = WireValue[];
/** The key of a row, in the order of the schema's key. */
export type WireKey = WireValue[];

/** Declares table `id`. It precedes the first line that uses the id, in each page and in each batch. */
export type SchemaLine = ['s', id: number, schema: TableSchema];
/** Rows inserted, in order. */
export type InsertLine = ['i', id: number, rows: WireRow[]];
/** Rows updated, with every column and an unchanged key, in order. */
export type UpdateLine = ['u', id: number, rows: WireRow[]];
/**
 * Rows deleted, by key, in order. In a table without a key, each entry is a complete row and deletes one equal row. An
 * update that changes a key is a delete and an insert.
 */
export type DeleteLine = ['d', id: number, keys: WireKey[]];
/** Deletes all rows of the table. */
export type TruncateLine = ['t', id: number];
/** Drops the table of the same name with its rows, and creates table `id`. Its rows follow as inserts. */
export type ReplaceLine = ['r', id: number];
/** Drops the table with this name and removes it from the feed. */
export type DropLine = ['x', name: string];
/**
 * Turns table `from` into table `id` and keeps its rows. For each column of the new schema, `columns` names the old column
 * whose values it takes. Null: the column becomes NULL. Key columns keep their values.
 */
export type AlterLine = ['a', id: number, from: number, columns: (string | null)[]];

/** Lines that change rows or tables. They occur only inside a transaction. */
export type ChangeLine = InsertLine | UpdateLine | DeleteLine | TruncateLine | ReplaceLine | DropLine | AlterLine;

/** Begins transaction `seq`, committed at the master at `committedAt` (ISO 8601, UTC, microseconds). */
export type BeginLine = ['b', seq: number, committedAt: string];
/** Ends transaction `seq`. `changes`: number of its changes in the scopes of this page, in all its parts. */
export type CommitLine = ['c', seq: number, changes: number];

export type PageLine = SchemaLine | BeginLine | ChangeLine | CommitLine;

const value = z.union([z.string(), z.number(), z.null()]);
const rows = z.array(z.array(value));
const schemaLine = z.tuple([z.literal('s'), TableId, TableSchema]);
const changeLines = [
  z.tuple([z.literal('i'), TableId, rows]),
  z.tuple([z.literal('u'), TableId, rows]),
  z.tuple([z.literal('d'), TableId, rows]),
  z.tuple([z.literal('t'), TableId]),
  z.tuple([z.literal('r'), TableId]),
  z.tuple([z.literal('x'), z.string().min(1)]),
  z.tuple([z.literal('a'), TableId, TableId, z.array(z.string().nullable())]),
] as const;

/**
 * Schema of a page's lines. It does not check the values of rows, which would cost more than applying them. The replica
 * checks them against the table's schema.
 */
export const PageLine = z.union([
  schemaLine,
  z.tuple([z.literal('b'), Seq, z.string()]),
  z.tuple([z.literal('c'), Seq, z.int().nonnegative()]),
  ...changeLines,
]);

/**
 * Rows updated, without large columns that did not change: the old key (null: the key did not change), the indexes of
 * the columns that the master sent, and their values. The relay completes the rows from its mirror.
 */
export type PartialLine = ['p', id: number, rows: [oldKey: WireKey | null, present: number[], values: WireValue[]][]];
/** Begins a transaction of the master. */
export type SourceBeginLine = ['b', position: SourcePosition, committedAt: string];
/**
 * Begins a base copy: all rows of all published tables at `position`, as inserts. A table that the copy does not
 * declare leaves the feed. `why`: the reason for the copy.
 */
export type BaseBeginLine = ['B', position: SourcePosition, takenAt: string, why: string];
/**
 * Inside a transaction: begins the load of table `id`. All rows of the table follow as inserts. The relay compares them
 * with its mirror and logs the difference. `from`: the table's previous id (null: a new table). `columns`: the previous
 * name of each column (null: a new column).
 */
export type LoadLine = ['L', id: number, from: number | null, columns: (string | null)[]];
/** Ends the load of table `id`. */
export type LoadEndLine = ['E', id: number];
/** Ends a transaction or a base copy of `changes` changes. */
export type SourceCommitLine = ['c', changes: number];
/**
 * Reports that there is nothing new: at the master's time `masterTime` (ISO 8601), the feed had read the log up to
 * `position`. `current`: the log ended there. Occurs only between transactions.
 */
export type HeartbeatLine = ['h', position: SourcePosition, masterTime: string, current: boolean];

export type BatchLine =
  | SchemaLine
  | SourceBeginLine
  | BaseBeginLine
  | ChangeLine
  | PartialLine
  | LoadLine
  | LoadEndLine
  | SourceCommitLine
  | HeartbeatLine;

export const BatchLine = z.union([
  schemaLine,
  z.tuple([z.literal('b'), SourcePosition, z.iso.datetime()]),
  z.tuple([z.literal('B'), SourcePosition, z.iso.datetime(), z.string()]),
  z.tuple([z.literal('L'), TableId, TableId.nullable(), z.array(z.string().nullable())]),
  z.tuple([z.literal('E'), TableId]),
  z.tuple([z.literal('c'), z.int().nonnegative()]),
  z.tuple([z.literal('h'), SourcePosition, z.iso.datetime(), z.boolean()]),
  z.tuple([
    z.literal('p'),
    TableId,
    z.array(z.tuple([z.array(value).nullable(), z.array(z.int().nonnegative()), z.array(value)])),
  ]),
  ...changeLines,
]);

/** Number of changes in a change line: its rows, or 1 for a truncated, replaced, altered or dropped table. */
export function changesIn(line: ChangeLine | PartialLine): number {
  return line[0] === 't' || line[0] === 'r' || line[0] === 'x' || line[0] === 'a' ? 1 : line[2].length;
}
