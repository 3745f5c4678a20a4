import { relayStatusOf, transactionListOf } from '@tidemark/protocol/api';
import { Seq } from '@tidemark/protocol/cursor';
import { Fault } from '@tidemark/protocol/fault';
import { Mode, Run } from '@tidemark/protocol/run';
import { Time } from '@tidemark/protocol/time';
import { SetAsideReason } from '@tidemark/protocol/trouble';
import { Facts, Pause } from '@tidemark/status/facts';
import { z } from 'zod';

/**
 * The calls that the agent process answers, and the events that it sends. Caller and handler are both derived from this
 * table. The desktop shell makes the calls of `AGENT_METHODS`. The window makes those of `FORWARDED_METHODS`, and the
 * shell passes them on unchanged.
 */

export const AutomaticMode = z.enum(['sync', 'check']);

/** Interval between automatic runs, in minutes. 0: off. */
export const EveryMinutes = z.union([z.literal(0), z.literal(1), z.literal(5), z.literal(15), z.literal(60)]);

/** One measurement of how far this PC was behind. */
export const Sample = z.object({
  at: Time,
  /** Number of changes waiting. Null: unknown. */
  waiting: z.int().nonnegative().nullable(),
  /** Lag between relay and terminal, ms. Null: unknown. */
  lagMs: z.number().nonnegative().nullable(),
  /** Lag between master and relay, ms. Null: unknown. */
  sourceLagMs: z.number().nonnegative().nullable(),
});
export type Sample = z.infer<typeof Sample>;

export const TableRow = z.object({
  name: z.string(),
  /** Number of rows in the local copy. Null before the table's first sync. */
  rows: z.int().nonnegative().nullable(),
  waiting: z.int().nonnegative().nullable(),
  /** Commit time of the newest change, applied or waiting. */
  lastChangeAt: Time.nullable(),
  /** Why the table does not follow head office, and as of when. Null: it follows. */
  setAside: z.object({ reason: SetAsideReason, asOf: Time }).nullable(),
});
export type TableRow = z.infer<typeof TableRow>;

export const ConnectionTest = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), status: relayStatusOf(Time), latencyMs: z.number() }),
  z.object({ ok: z.literal(false), fault: Fault }),
]);
export type ConnectionTest = z.infer<typeof ConnectionTest>;

/** Configuration of the agent. */
export const AgentConfig = z.object({
  relayUrl: z.string(),
  feed: z.string(),
  token: z.string(),
  /** The server for which the key was stored. The agent sends the key to no other server. */
  keyServer: z.string(),
  centralName: z.string(),
  branchName: z.string(),
  everyMinutes: EveryMinutes,
  automatic: AutomaticMode,
  /** Path of the replica, one file per feed. Its folder must exist. */
  databasePath: z.string(),
  /** Version of the app, reported to the relay. */
  version: z.string(),
  /** A pause that began in an earlier process and has not ended. */
  paused: Pause.nullable(),
});
export type AgentConfig = z.infer<typeof AgentConfig>;

const nothing = z.object({});
const QUICK_MS = 10_000;
/** Time limit of calls that ask the relay, ms. The requests themselves have shorter limits. */
const REMOTE_MS = 90_000;

/**
 * Calls that the window makes and the shell forwards to the agent. A call that the agent does not answer within
 * `timeoutMs` is rejected with `agent_down`.
 */
export const FORWARDED_METHODS = {
  /** Starts a run and returns at once. The facts show its progress. `target` is required in mode `up-to`. */
  'sync.start': { in: z.object({ mode: Mode, target: Seq.optional() }), out: nothing, timeoutMs: QUICK_MS },
  'sync.cancel': { in: nothing, out: nothing, timeoutMs: QUICK_MS },
  /** `until` null: the pause lasts until a person resumes. */
  'sync.pause': { in: z.object({ until: Time.nullable() }), out: nothing, timeoutMs: QUICK_MS },
  'sync.resume': { in: nothing, out: nothing, timeoutMs: QUICK_MS },
  'waiting.list': {
    in: z.object({ after: Seq.nullable(), limit: z.int().min(1).max(500) }),
    out: transactionListOf(Time),
    timeoutMs: REMOTE_MS,
  },
  'tables.list': { in: nothing, out: z.array(TableRow), timeoutMs: REMOTE_MS },
  /** Returns runs, newest first. `before`: the `startedAt` of the last run on the previous page. */
  'runs.list': {
    in: z.object({ before: Time.nullable(), limit: z.int().min(1).max(500) }),
    out: z.array(Run),
    timeoutMs: QUICK_MS,
  },
  /** Returns the samples of the last `sinceMs` ms, oldest first. */
  'lag.list': { in: z.object({ sinceMs: z.int().positive() }), out: z.array(Sample), timeoutMs: QUICK_MS },
} as const;

/** Calls that the shell makes. */
export const AGENT_METHODS = {
  ...FORWARDED_METHODS,
  /** Applies a configuration. Null: the app is not set up, so there is nothing to sync. */
  'agent.configure': { in: z.object({ config: AgentConfig.nullable() }), out: nothing, timeoutMs: 60_000 },
  /** Whether the PC has a network. Null: the operating system does not report it. */
  'agent.online': { in: z.object({ online: z.boolean().nullable() }), out: nothing, timeoutMs: QUICK_MS },
  /** The PC woke from sleep, so requests in flight are dead. */
  'agent.wake': { in: nothing, out: nothing, timeoutMs: QUICK_MS },
  /**
   * Opens a replica at a path where no file exists, to check that SQLite works. Returns the versions of SQLite and
   * Node.
   */
  'agent.probe': {
    in: z.object({ file: z.string() }),
    out: z.object({ sqlite: z.string(), node: z.string() }),
    timeoutMs: 30_000,
  },
  /** Ends the run at a transaction boundary and closes the database. After this call the agent accepts no others. */
  'agent.stop': { in: nothing, out: nothing, timeoutMs: QUICK_MS },
  'connection.test': {
    in: z.object({ relayUrl: z.string(), feed: z.string(), token: z.string(), version: z.string() }),
    out: ConnectionTest,
    timeoutMs: REMOTE_MS,
  },
} as const;

/** Events that the agent sends on its own. */
export const AGENT_EVENTS = {
  /** The agent is ready for `agent.configure`. */
  ready: z.object({ sqlite: z.string().nullable() }),
  /** The agent's facts, sent after each change. The shell adds the field `agent`. */
  facts: Facts.omit({ agent: true }),
} as const;
