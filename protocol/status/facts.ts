import { z } from 'zod';
import { RelayStatus, SnapshotReason } from '../api.ts';
import { Cursor, Seq } from '../cursor.ts';
import { ErrorCode } from '../errors.ts';

/** What a terminal knows about itself: all that deriveStatus is given, besides the clock. Times are ISO 8601 in UTC. */
const Time = z.iso.datetime();

/** An error as it travels between processes. */
export const Fault = z.object({
  code: ErrorCode,
  params: z.record(z.string(), z.union([z.string(), z.number()])),
  /** For details and support: never a secret. */
  detail: z.string().optional(),
  requestId: z.string().optional(),
});
export type Fault = z.infer<typeof Fault>;

export const Trigger = z.enum(['manual', 'schedule', 'start', 'watch', 'command']);
export type Trigger = z.infer<typeof Trigger>;

/** `verify`: pulls to where a comparison with the relay is possible, compares, and repairs what differs. */
export const Mode = z.enum(['now', 'check', 'up-to', 'one', 'recopy', 'verify']);
export type Mode = z.infer<typeof Mode>;

/** Progress of a run. `total` is fixed when the run starts. */
export const Progress = z.object({
  runId: z.string(),
  startedAt: Time,
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
  lastDataAt: Time,
  /** When the request in flight gives up. */
  deadlineAt: Time.nullable(),
  /** Changes or rows a second over the last seconds; null while not known. */
  rate: z.number().nonnegative().nullable(),
  /** Seconds left; null while it cannot be trusted (under 5 s, 3 batches, or unsteady). */
  etaS: z.number().nonnegative().nullable(),
});
export type Progress = z.infer<typeof Progress>;

/** What the agent is doing. */
export const Phase = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('starting') }),
  z.object({ kind: z.literal('idle') }),
  z.object({ kind: z.literal('checking'), since: Time }),
  z.object({
    kind: z.literal('syncing'),
    first: z.boolean(),
    progress: Progress,
  }),
  z.object({ kind: z.literal('cancelling'), since: Time }),
]);
export type Phase = z.infer<typeof Phase>;

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

/** A finished run: one pull, one check or one comparison. */
export const Run = z.object({
  id: z.string(),
  startedAt: Time,
  endedAt: Time,
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
export type Run = z.infer<typeof Run>;

export const Thresholds = z.object({
  freshMs: z.int(),
  staleMs: z.int(),
  behindWarnChanges: z.int(),
  behindWarnAgeMs: z.int(),
  sourceLagWarnMs: z.int(),
  stallMs: z.int(),
});
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

export const Facts = z.object({
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
      since: Time,
    }),
    z.object({ state: z.literal('down'), restarts: z.int(), since: Time }),
  ]),
  phase: Phase,
  paused: z.object({ since: Time, until: Time.nullable(), by: z.string() }).nullable(),
  /** What the operating system says; false is believed, true proves nothing. */
  online: z.boolean().nullable(),
  replica: z.object({
    /** Null: never synced. */
    cursor: Cursor.nullable(),
    /** Commit time of the cursor's transaction at the master. */
    committedAt: Time.nullable(),
    tables: z.int().nonnegative(),
    rows: z.int().nonnegative(),
    /** Why the local database cannot be used (db_* or disk_full), if so. */
    fault: Fault.nullable(),
  }),
  /** Last answer of the relay to a status request, and when it came. Its `behind` was counted at the cursor `for`. */
  probe: z.object({ at: Time, for: Cursor.nullable(), status: RelayStatus }).nullable(),
  /** Changes waiting after the last probe and whatever was applied since; null when not known. */
  waiting: z
    .object({
      transactions: z.int(),
      changes: z.int(),
      bytes: z.int(),
      oldestAt: Time.nullable(),
    })
    .nullable(),
  /** Last pull that reached its target, or found nothing new. */
  lastSuccess: Run.nullable(),
  /** Last run of all. */
  lastRun: Run.nullable(),
  /** Changes waiting at the last probes, oldest first (at most 10), for the trend. */
  trend: z.array(z.object({ at: Time, changes: z.int(), head: Seq, cursor: Seq })),
  /** The next try after a failure, by itself. */
  retry: z.object({ attempt: z.int(), nextAt: Time }).nullable(),
  schedule: z.object({ everyMs: z.int().nullable(), nextAt: Time.nullable() }),
  /** This PC's clock minus the relay's, at the last probe. */
  clockSkewMs: z.number().nullable(),
  thresholds: Thresholds,
});
export type Facts = z.infer<typeof Facts>;
