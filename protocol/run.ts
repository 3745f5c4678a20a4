import { z } from 'zod';
import { SnapshotReason } from './api.ts';
import { Cursor } from './cursor.ts';
import { Fault } from './fault.ts';
import { Time, type TimeSchema, TimeText } from './time.ts';
import { SetAside } from './trouble.ts';

/**
 * A finished run of the sync engine, in the form that its history, the app and `--json` use. A run is one pull, check
 * or comparison.
 */

/**
 * Who started a run. `manual`: a person in the app. `schedule`: the automatic sync. `start`: the start of the program.
 * `watch`: the long poll of a terminal that follows the relay. `command`: the command line.
 */
export const Trigger = z.enum(['manual', 'schedule', 'start', 'watch', 'command']);
export type Trigger = z.infer<typeof Trigger>;

/**
 * The task of a run. `now`: pulls to the head. `check`: asks the relay and downloads nothing. `up-to`: pulls to a chosen
 * transaction. `one`: pulls one transaction. `recopy`: downloads a snapshot. `verify`: pulls to the position of a
 * snapshot, compares the replica with it, and repairs rows that differ.
 */
export const Mode = z.enum(['now', 'check', 'up-to', 'one', 'recopy', 'verify']);
export type Mode = z.infer<typeof Mode>;

/**
 * Differences between a replica's table and the relay's. The run repaired them unless it was called with --no-repair.
 */
export const Difference = z.object({
  table: z.string(),
  /** Number of rows that the relay had and this replica did not. */
  missing: z.int().nonnegative(),
  /** Number of rows that only this replica had. */
  extra: z.int().nonnegative(),
  /** Number of rows with the same key and different values. */
  different: z.int().nonnegative(),
});
export type Difference = z.infer<typeof Difference>;

/** Returns the schema of a {@link Run}. `time`: the schema of its times. */
export const runOf = <T extends TimeSchema>(time: T) =>
  z.object({
    /** Id of the run: random, and unique in a replica's history. */
    id: z.string(),
    startedAt: time,
    endedAt: time,
    trigger: Trigger,
    mode: Mode,
    /** `nothing-new`: the run succeeded and changed no row. */
    outcome: z.enum(['done', 'nothing-new', 'cancelled', 'failed']),
    /** The cursor at the start. Null: no data. */
    from: Cursor.nullable(),
    /** The cursor at the end. Null: no data. */
    to: Cursor.nullable(),
    /**
     * Why the run installed a snapshot. Null: it installed none. `asked`: a person chose a fresh copy. `altered`:
     * another program changed tables.
     */
    snapshot: z.enum([...SnapshotReason.options, 'asked', 'altered']).nullable(),
    /** Number of rows that the run inserted, in all tables. */
    inserted: z.int().nonnegative(),
    updated: z.int().nonnegative(),
    deleted: z.int().nonnegative(),
    /** Number of times that a table was truncated, replaced or dropped. */
    truncated: z.int().nonnegative(),
    /** The same counts, for each table that the run changed. */
    tables: z.array(
      z.object({
        name: z.string(),
        inserted: z.int().nonnegative(),
        updated: z.int().nonnegative(),
        deleted: z.int().nonnegative(),
        truncated: z.int().nonnegative(),
      }),
    ),
    /** Bytes received over the network. */
    bytes: z.int().nonnegative(),
    /** Number of rows and tables that a comparison read. */
    compared: z.object({ rows: z.int().nonnegative(), tables: z.int().nonnegative() }).optional(),
    /** Tables in which a comparison found differences. */
    differences: z.array(Difference).optional(),
    /** Tables that were set aside in this run, with the reason (F17). */
    setAside: z.array(z.object({ name: z.string(), reason: SetAside.shape.reason })).optional(),
    /** Tables that follow the master again since this run. */
    followed: z.array(z.string()).optional(),
    /** Number of changes that were still waiting at the end. Null: unknown. */
    left: z.int().nonnegative().nullable(),
    /** Number of attempts that failed before this outcome. */
    retries: z.int().nonnegative(),
    /** Why the run failed. Null: it did not fail. */
    fault: Fault.nullable(),
  });

/** A finished run: one pull, one check or one comparison. */
export const Run = runOf(Time);
export type Run = z.infer<typeof Run>;
/** {@link Run} as JSON, in the history of a replica and in the output of commands: times are text. */
export const RunJson = runOf(TimeText);
