import { relayStatusOf } from '@tidemark/protocol/api';
import { Cursor, Seq } from '@tidemark/protocol/cursor';
import { Fault } from '@tidemark/protocol/fault';
import { runOf } from '@tidemark/protocol/run';
import { Time, type TimeSchema, TimeText } from '@tidemark/protocol/time';
import { SetAsideReason } from '@tidemark/protocol/trouble';
import { z } from 'zod';

/**
 * Facts that a terminal knows about itself and the relay. Together with the clock, they are the only input of
 * `deriveStatus`. Each schema exists twice: with times as numbers in memory, and with times as text in JSON. See
 * time.ts of the protocol.
 */

/** Returns the schema of {@link Progress}. `time`: the schema of its times. */
export const progressOf = <T extends TimeSchema>(time: T) =>
  z.object({
    runId: z.string(),
    startedAt: time,
    /** `preparing`: waiting for the relay. `finishing`: saving the cursor. */
    stage: z.enum(['preparing', 'downloading', 'applying', 'comparing', 'repairing', 'finishing']),
    /** The unit of `done`, `total` and `rate`: rows of a snapshot or comparison, or changes. */
    unit: z.enum(['rows', 'changes']),
    done: z.int().nonnegative(),
    /** The total number of rows or changes, fixed when the run starts. 0: unknown. */
    total: z.int().nonnegative(),
    /** Bytes received. Pages count before compression, and snapshots as sent. */
    bytes: z.int().nonnegative(),
    /** Size of the download, bytes. 0: unknown. */
    bytesTotal: z.int().nonnegative(),
    /** Name of the table under way. Null: none yet. */
    table: z.string().nullable(),
    /** The table's number, from 1. 0: tables are not counted. */
    tableIndex: z.int().nonnegative(),
    tableCount: z.int().nonnegative(),
    /** The seq at which the run ends. Null: not known yet. */
    target: Seq.nullable(),
    /** When data last arrived. */
    lastDataAt: time,
    /** When the request in flight gives up. Null: no request. */
    deadlineAt: z.nullable(time),
    /** Per second, over the last seconds. Null: not known. */
    rate: z.number().nonnegative().nullable(),
    /** Seconds left. Null while the estimate cannot be trusted: before 5 s and 3 batches, or at an unsteady rate. */
    etaS: z.number().nonnegative().nullable(),
  });

/** Progress of a run. */
export const Progress = progressOf(Time);
export type Progress = z.infer<typeof Progress>;

const phaseOf = <T extends TimeSchema>(time: T) =>
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('starting') }),
    z.object({ kind: z.literal('idle') }),
    z.object({ kind: z.literal('checking'), since: time }),
    z.object({
      kind: z.literal('syncing'),
      /** Whether the replica has no data yet. */
      first: z.boolean(),
      progress: progressOf(time),
    }),
    z.object({ kind: z.literal('cancelling'), since: time }),
  ]);
/** The agent's present work. */
export const Phase = phaseOf(Time);
export type Phase = z.infer<typeof Phase>;

const pauseOf = <T extends TimeSchema>(time: T) =>
  z.object({
    since: time,
    /** End of the pause. Null: it lasts until a person resumes. */
    until: z.nullable(time),
    /** Who paused, for people: `you`. */
    by: z.string(),
  });

/** A pause of automatic runs. */
export const Pause = pauseOf(Time);
export type Pause = z.infer<typeof Pause>;
/** {@link Pause} as the settings file stores it. */
export const PauseJson = pauseOf(TimeText);

/** Limits at which a state begins. */
export const Thresholds = z.object({
  /** An answer of the relay is fresh up to this age. */
  freshMs: z.int(),
  /** An answer is stale from this age, or when three automatic checks have received none. */
  staleMs: z.int(),
  /** A backlog of at least this many changes is a warning. */
  behindWarnChanges: z.int(),
  /** A backlog whose oldest change is at least this old is a warning. */
  behindWarnAgeMs: z.int(),
  /** A relay that is at least this far behind the master is a warning, and no PC is up to date (S13). */
  sourceLagWarnMs: z.int(),
  /** A run that has received no data for this long is stalled. */
  stallMs: z.int(),
});

export type Thresholds = z.infer<typeof Thresholds>;

/** The limits that every program uses. */
export const DEFAULT_THRESHOLDS: Thresholds = {
  freshMs: 15 * 60_000,
  staleMs: 24 * 3_600_000,
  behindWarnChanges: 10_000,
  behindWarnAgeMs: 4 * 3_600_000,
  sourceLagWarnMs: 5 * 60_000,
  stallMs: 30_000,
};

/** Number of automatic pulls for which the facts keep the number of changes that still waited. */
export const REMAINING_KEPT = 4;

/** Largest number of set-aside tables that the facts name. They count the others. */
export const SET_ASIDE_NAMED = 20;

const factsOf = <T extends TimeSchema>(time: T) =>
  z.object({
    /** Whether the terminal has an address, a feed and a key. */
    configured: z.boolean(),
    /** Whether the key and the data cross a network in plain text, because the relay's address is http. */
    unencrypted: z.boolean(),
    /** Names to show to people. Empty when unknown. */
    names: z.object({
      /** The master: `Central database`. */
      central: z.string(),
      /** The relay's own name, or the host of its address. */
      relay: z.string(),
      terminal: z.string(),
    }),
    /**
     * The agent's process, as the app sees it. Without the app it is always alive. `restarts`: number of restarts in
     * the last 10 minutes.
     */
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
    /** Whether the operating system reports a network. Only false is reliable. Null: it does not report one. */
    online: z.boolean().nullable(),
    replica: z.object({
      /** The replica's cursor. Null when this PC has never synced. */
      cursor: Cursor.nullable(),
      /** Commit time of the cursor's transaction at the master. */
      committedAt: z.nullable(time),
      tables: z.int().nonnegative(),
      /** Rows of all tables. */
      rows: z.int().nonnegative(),
      /** Tables that are set aside in the replica (F17 of docs/protocol.md). */
      setAside: z.object({
        count: z.int().nonnegative(),
        /** The tables with the oldest rows, oldest first, at most {@link SET_ASIDE_NAMED}. */
        tables: z.array(
          z.object({
            name: z.string(),
            reason: SetAsideReason,
            /** Commit time of the last transaction that the table's rows contain. */
            asOf: time,
          }),
        ),
      }),
      /**
       * The write-ahead log of the local database (`<replica>-wal`), while it is larger than usual. `heldSince`: when
       * another program's read transaction was first seen to keep it from being emptied. Null: not known whether one
       * does.
       */
      log: z.object({ file: z.string(), bytes: z.int().nonnegative(), heldSince: z.nullable(time) }).nullable(),
      /** Why the local database cannot be used (`db_*` or `disk_full`). Null when it can. */
      fault: Fault.nullable(),
    }),
    /**
     * The relay's last answer to a status request, with its time of arrival. The relay counted `behind` from the cursor
     * `for`.
     */
    probe: z.object({ at: time, for: Cursor.nullable(), status: relayStatusOf(time) }).nullable(),
    /** The backlog of the last probe, minus the pages applied since. Null: unknown. `bytes`: before compression. */
    waiting: z
      .object({
        transactions: z.int(),
        changes: z.int(),
        bytes: z.int(),
        oldestAt: z.nullable(time),
      })
      .nullable(),
    /** The last pull that reached its target. A check is not a pull. */
    lastSuccess: runOf(time).nullable(),
    /** The last run. While a run waits to be retried, it is that run, as failed. */
    lastRun: runOf(time).nullable(),
    /** The backlog at the last probes, oldest first, at most 10. */
    trend: z.array(z.object({ at: time, changes: z.int(), head: Seq, cursor: Seq })),
    /**
     * Numbers of changes that still waited right after the last automatic pulls, oldest first, at most
     * {@link REMAINING_KEPT}. A pull that a person started clears the list.
     */
    remaining: z.array(z.int().nonnegative()),
    /** The automatic retry after a failure. `attempt`: number of the next attempt. Null: no retry is due. */
    retry: z.object({ attempt: z.int(), nextAt: time }).nullable(),
    /** Automatic runs. Null when they are off. `nextAt` is also null during a pause. */
    schedule: z.object({ everyMs: z.int().nullable(), nextAt: z.nullable(time) }),
    /** This PC's clock minus the relay's, at the last probe. Null before the first probe. */
    clockSkewMs: z.number().nullable(),
    thresholds: Thresholds,
  });

/** The facts in memory. */
export const Facts = factsOf(Time);
export type Facts = z.infer<typeof Facts>;
/** {@link Facts} in JSON output: times are text. */
export const FactsJson = factsOf(TimeText);
