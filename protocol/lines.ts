import { z } from 'zod';
import { Seq } from './cursor.ts';
import { SourcePosition } from './position.ts';
import { TableId, TableSchema } from './schema.ts';

/**
 * The lines that pages (relay to terminal) and batches (feed to relay) are made of: one JSON array a
 * line, UTF-8, each ended by '\n'. The row lines are the same on both hops, so that the relay can keep
 * and send the bytes that it received.
 */

/** One value as it travels; which form follows from the column's type, see schema.ts. */
export type WireValue = string | number | null;
/** A whole row, in the order of the schema's columns. */
export type WireRow = WireValue[];
/** The key of a row, in the order of the schema's key. */
export type WireKey = WireValue[];

/** Declares table `id`. Stands before the first line that uses the id, in each page and in each batch. */
export type SchemaLine = ['s', id: number, schema: TableSchema];
/** Rows inserted, in order. */
export type InsertLine = ['i', id: number, rows: WireRow[]];
/** Rows updated, whole, key unchanged, in order. */
export type UpdateLine = ['u', id: number, rows: WireRow[]];
/** Rows deleted, by key, in order. An update that changes a key is a delete and an insert. Of a table without a key: by the whole row, one of those that are equal. */
export type DeleteLine = ['d', id: number, keys: WireKey[]];
/** All rows of the table are gone. */
export type TruncateLine = ['t', id: number];
/** Table `id` takes the place of the table of the same name, which is dropped with its rows; whole rows follow. */
export type ReplaceLine = ['r', id: number];
/** The table of this name leaves the feed and is dropped. */
export type DropLine = ['x', name: string];
/**
 * Table `from` becomes table `id`, its rows stay: each column of the new schema takes the values of the old column of
 * that name; null: NULL. The key columns keep their values.
 */
export type AlterLine = ['a', id: number, from: number, columns: (string | null)[]];

/** Lines that change rows or tables. They stand only inside a transaction. */
export type ChangeLine = InsertLine | UpdateLine | DeleteLine | TruncateLine | ReplaceLine | DropLine | AlterLine;

/** Begins transaction `seq`, committed at the master at `committedAt` (ISO 8601, UTC, microseconds). */
export type BeginLine = ['b', seq: number, committedAt: string];
/** Ends transaction `seq`; it had `changes` changes in the scopes of this page, over all its parts. */
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

/** Schema of a page's lines. Row contents are checked against the table's schema where they are applied: per value checks here would cost more than the apply. */
export const PageLine = z.union([
  schemaLine,
  z.tuple([z.literal('b'), Seq, z.string()]),
  z.tuple([z.literal('c'), Seq, z.int().nonnegative()]),
  ...changeLines,
]);

/**
 * Rows updated whose large unchanged columns the master left out: old key (null when the key did not
 * change), the columns' indexes that are present, their values. The relay completes them from its mirror.
 */
export type PartialLine = ['p', id: number, rows: [oldKey: WireKey | null, present: number[], values: WireValue[]][]];
/** Begins a transaction of the master. */
export type SourceBeginLine = ['b', position: SourcePosition, committedAt: string];
/** Begins a base: all rows of all published tables as they were at `position`, as inserts. What is not declared in it is not in the feed. `why` it was taken. */
export type BaseBeginLine = ['B', position: SourcePosition, takenAt: string, why: string];
/**
 * Inside a transaction: begins the load of table `id`, all of whose rows follow as inserts. The relay compares them with
 * its mirror and logs what differs. `from`: the table that it was (null: a new one), and of each column the name that it
 * had there (null: it is new).
 */
export type LoadLine = ['L', id: number, from: number | null, columns: (string | null)[]];
/** Ends the load of table `id`. */
export type LoadEndLine = ['E', id: number];
/** Ends a transaction or a base of `changes` changes. */
export type SourceCommitLine = ['c', changes: number];
/** Nothing new: all up to `position` has been read at the master's time `masterTime` (ISO 8601). `current` says that this was the end of the log then. Stands only between transactions. */
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

/** How many changes a change line holds: its rows; 1 for a truncate, a replaced, altered or dropped table. */
export function changesIn(line: ChangeLine | PartialLine): number {
  return line[0] === 't' || line[0] === 'r' || line[0] === 'x' || line[0] === 'a' ? 1 : line[2].length;
}
