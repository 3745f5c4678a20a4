import { relayStatusOf } from '@tidemark/protocol/api';
import { Cursor, Seq } from '@tidemark/protocol/cursor';
import { Fault } from '@tidemark/protocol/fault';
import { runOf } from '@tidemark/protocol/run';
import { Time, type TimeSchema, TimeText } from '@tidemark/protocol/time';
import { z } from 'zod';

/** What a terminal knows about itself: the input of deriveStatus, besides the clock. */

export const progressOf = <T extends TimeSchema>(time: T) =>
  z.object({
    runId: z.string(),
    startedAt: time,
    stage: z.enum(['preparing', 'downloading', 'applying', 'comparing', 'repairing', 'finishing']),
    /** What is counted: rows of a snapshot, or changes. */
    unit: z.enum(['rows', 'changes']),
    done: z.int().nonnegative(),
    total: z.int().nonnegative(),
    bytes: z.int().nonnegative(),
    bytesTotal: z.int().nonnegative(),
    /** Table being applied or downloaded, with its number. */
    table: z.string().nullable(),
    tableIndex: z.int().nonnegative(),
    tableCount: z.int().nonnegative(),
    target: Seq.nullable(),
    /** When data last arrived. */
    lastDataAt: time,
    /** When the request in flight gives up. */
    deadlineAt: z.nullable(time),
    /** Changes or rows a second over the last seconds; null while not known. */
    rate: z.number().nonnegative().nullable(),
    /** Seconds left; null while it cannot be trusted (under 5 s, 3 batches, or unsteady). */
    etaS: z.number().nonnegative().nullable(),
  });

/** Progress of a run. `total` is fixed when the run starts. */
export const Progress = progressOf(Time);
export type Progress = z.infer<typeof Progress>;

const phaseOf = <T extends TimeSchema>(time: T) =>
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('starting') }),
    z.object({ kind: z.literal('idle') }),
    z.object({ kind: z.literal('checking'), since: time }),
    z.object({
      kind: z.literal('syncing'),
      first: z.boolean(),
      progress: progressOf(time),
    }),
    z.object({ kind: z.literal('cancelling'), since: time }),
  ]);
export type Phase = z.infer<typeof Phase>;

const pauseOf = <T extends TimeSchema>(time: T) =>
  z.object({
    since: time,
    /** Null: until a person resumes. */
    until: z.nullable(time),
    /** Who paused, for people: `you`. */
    by: z.string(),
  });

/** A pause of automatic runs. */
export const Pause = pauseOf(Time);
export type Pause = z.infer<typeof Pause>;
/** {@link Pause} as the settings file stores it. */
export const PauseJson = pauseOf(TimeText);

export const Thresholds = z.object({
  freshMs: z.int(),
  staleMs: z.int(),
  behindWarnChanges: z.int(),
  behindWarnAgeMs: z.int(),
  sourceLagWarnMs: z.int(),
  stallMs: z.int(),
});

/** What the agent is doing. */
export const Phase = phaseOf(Time);
export type Thresholds = z.infer<typeof Thresholds>;

/** Defaults of ui.md's thresholds. */
export const DEFAULT_THRESHOLDS: Thresholds = {
  freshMs: 15 * 60_000,
  staleMs: 24 * 3_600_000,
  behindWarnChanges: 10_000,
  behindWarnAgeMs: 4 * 3_600_000,
  sourceLagWarnMs: 5 * 60_000,
  stallMs: 30_000,
};

const factsOf = <T extends TimeSchema>(time: T) =>
  z.object({
    configured: z.boolean(),
    /** What people call them: "Central database", the relay's own name or host, this PC. */
    names: z.object({
      central: z.string(),
      relay: z.string(),
      terminal: z.string(),
    }),
    /** The sync engine's process, as the app sees it. The plain terminal is always alive. */
    agent: z.discriminatedUnion('state', [
      z.object({ state: z.literal('alive') }),
      z.object({ state: z.literal('starting') }),
      z.object({
        state: z.literal('restarting'),
        restarts: z.int(),
        since: time,
      }),
      z.object({ state: z.literal('down'), restarts: z.int(), since: time }),
    ]),
    phase: phaseOf(time),
    paused: pauseOf(time).nullable(),
    /** What the operating system says; false is believed, true proves nothing. */
    online: z.boolean().nullable(),
    replica: z.object({
      /** Null: never synced. */
      cursor: Cursor.nullable(),
      /** Commit time of the cursor's transaction at the master. */
      committedAt: z.nullable(time),
      tables: z.int().nonnegative(),
      rows: z.int().nonnegative(),
      /** Why the local database cannot be used (db_* or disk_full), if so. */
      fault: Fault.nullable(),
    }),
    /** Last answer of the relay to a status request, and when it came. Its `behind` was counted at the cursor `for`. */
    probe: z.object({ at: time, for: Cursor.nullable(), status: relayStatusOf(time) }).nullable(),
    /** Changes waiting after the last probe and whatever was applied since; null when not known. */
    waiting: z
      .object({
        transactions: z.int(),
        changes: z.int(),
        bytes: z.int(),
        oldestAt: z.nullable(time),
      })
      .nullable(),
    /** Last pull that reached its target, or found nothing new. */
    lastSuccess: runOf(time).nullable(),
    /** Last run of all. */
    lastRun: runOf(time).nullable(),
    /** Changes waiting at the last probes, oldest first (at most 10), for the trend. */
    trend: z.array(z.object({ at: time, changes: z.int(), head: Seq, cursor: Seq })),
    /** The next try after a failure, by itself. */
    retry: z.object({ attempt: z.int(), nextAt: time }).nullable(),
    schedule: z.object({ everyMs: z.int().nullable(), nextAt: z.nullable(time) }),
    /** This PC's clock minus the relay's, at the last probe. */
    clockSkewMs: z.number().nullable(),
    thresholds: Thresholds,
  });

export const Facts = factsOf(Time);
export type Facts = z.infer<typeof Facts>;
/** {@link Facts} in JSON output: times are text. */
export const FactsJson = factsOf(TimeText);
