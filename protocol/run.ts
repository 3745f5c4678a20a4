import { z } from 'zod';
import { SnapshotReason } from './api.ts';
import { Cursor } from './cursor.ts';
import { Fault } from './fault.ts';
import { Time, type TimeSchema, TimeText } from './time.ts';

export const Trigger = z.enum(['manual', 'schedule', 'start', 'watch', 'command']);
export type Trigger = z.infer<typeof Trigger>;

/** `verify`: pulls to where a comparison with the relay is possible, compares, and repairs what differs. */
export const Mode = z.enum(['now', 'check', 'up-to', 'one', 'recopy', 'verify']);
export type Mode = z.infer<typeof Mode>;

/** What a comparison of a table with the relay found; repaired unless the run says otherwise. */
export const Difference = z.object({
  table: z.string(),
  /** Rows that the relay has and this replica had not. */
  missing: z.int().nonnegative(),
  /** Rows that only this replica had. */
  extra: z.int().nonnegative(),
  /** Rows of one key with other values. */
  different: z.int().nonnegative(),
});
export type Difference = z.infer<typeof Difference>;

/** A {@link Run} with times in one form. */
export const runOf = <T extends TimeSchema>(time: T) =>
  z.object({
    id: z.string(),
    startedAt: time,
    endedAt: time,
    trigger: Trigger,
    mode: Mode,
    outcome: z.enum(['done', 'nothing-new', 'cancelled', 'failed']),
    from: Cursor.nullable(),
    to: Cursor.nullable(),
    /** By a snapshot, and why; `asked`: a person wanted a fresh copy; `altered`: another program changed tables here. */
    snapshot: z.enum([...SnapshotReason.options, 'asked', 'altered']).nullable(),
    inserted: z.int().nonnegative(),
    updated: z.int().nonnegative(),
    deleted: z.int().nonnegative(),
    /** Tables emptied, replaced or dropped as a whole. */
    truncated: z.int().nonnegative(),
    tables: z.array(
      z.object({
        name: z.string(),
        inserted: z.int().nonnegative(),
        updated: z.int().nonnegative(),
        deleted: z.int().nonnegative(),
        truncated: z.int().nonnegative(),
      }),
    ),
    /** Bytes received, as they came over the network. */
    bytes: z.int().nonnegative(),
    /** Of a comparison: how much was compared. */
    compared: z.object({ rows: z.int().nonnegative(), tables: z.int().nonnegative() }).optional(),
    /** Of a comparison: the tables that differed. */
    differences: z.array(Difference).optional(),
    /** Changes still waiting when it ended; null when not known. */
    left: z.int().nonnegative().nullable(),
    /** Attempts that failed before this outcome. */
    retries: z.int().nonnegative(),
    fault: Fault.nullable(),
  });

/** A finished run: one pull, one check or one comparison. */
export const Run = runOf(Time);
export type Run = z.infer<typeof Run>;
/** {@link Run} as JSON, in the history of a replica and in the output of commands: times are text. */
export const RunJson = runOf(TimeText);
