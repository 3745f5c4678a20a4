import { relayStatusOf, transactionListOf } from '@tidemark/protocol/api';
import { Seq } from '@tidemark/protocol/cursor';
import { Fault } from '@tidemark/protocol/fault';
import { Mode, Run } from '@tidemark/protocol/run';
import { Time } from '@tidemark/protocol/time';
import { Facts, Pause } from '@tidemark/status/facts';
import { z } from 'zod';

/**
 * The calls that the agent process answers, and the events that it sends: one table, from which both the caller and
 * the handler are derived. `AGENT_METHODS` are between the desktop shell and the agent; `FORWARDED_METHODS` also belong
 * to the window's contract, and the shell passes them on unchanged.
 */

export const AutomaticMode = z.enum(['sync', 'check']);

/** Minutes between automatic runs; 0 is off. */
export const EveryMinutes = z.union([z.literal(0), z.literal(1), z.literal(5), z.literal(15), z.literal(60)]);

/** One measurement of how far this PC was behind. */
export const Sample = z.object({
  at: Time,
  /** Changes waiting; null where unknown. */
  waiting: z.int().nonnegative().nullable(),
  /** Relay-to-terminal lag in ms; null where unknown. */
  lagMs: z.number().nonnegative().nullable(),
  /** Master-to-relay lag in ms; null where unknown. */
  sourceLagMs: z.number().nonnegative().nullable(),
});
export type Sample = z.infer<typeof Sample>;

export const TableRow = z.object({
  name: z.string(),
  /** Rows in the local copy; null before the table's first sync. */
  rows: z.int().nonnegative().nullable(),
  waiting: z.int().nonnegative().nullable(),
  /** Commit time of the newest change, applied or waiting. */
  lastChangeAt: Time.nullable(),
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
  centralName: z.string(),
  branchName: z.string(),
  everyMinutes: EveryMinutes,
  automatic: AutomaticMode,
  /** One file per feed. Its folder exists. */
  databasePath: z.string(),
  /** Version of the app, reported to the relay. */
  version: z.string(),
  /** A pause that outlived the previous process. */
  paused: Pause.nullable(),
});
export type AgentConfig = z.infer<typeof AgentConfig>;

const nothing = z.object({});
const QUICK_MS = 10_000;
/** For calls that ask the relay, whose requests have shorter limits of their own. */
const REMOTE_MS = 90_000;

/** Calls that the window makes and the shell forwards to the agent. A call without an answer after `timeoutMs` is rejected with `agent_down`. */
export const FORWARDED_METHODS = {
  /** Starts a run and returns at once; progress arrives as facts. `target` goes with mode `up-to`. */
  'sync.start': { in: z.object({ mode: Mode, target: Seq.optional() }), out: nothing, timeoutMs: QUICK_MS },
  'sync.cancel': { in: nothing, out: nothing, timeoutMs: QUICK_MS },
  /** `until` null pauses until resumed. */
  'sync.pause': { in: z.object({ until: Time.nullable() }), out: nothing, timeoutMs: QUICK_MS },
  'sync.resume': { in: nothing, out: nothing, timeoutMs: QUICK_MS },
  'waiting.list': {
    in: z.object({ after: Seq.nullable(), limit: z.int().min(1).max(500) }),
    out: transactionListOf(Time),
    timeoutMs: REMOTE_MS,
  },
  'tables.list': { in: nothing, out: z.array(TableRow), timeoutMs: REMOTE_MS },
  /** Newest first. `before` is the `startedAt` of the last run on the previous page. */
  'runs.list': {
    in: z.object({ before: Time.nullable(), limit: z.int().min(1).max(500) }),
    out: z.array(Run),
    timeoutMs: QUICK_MS,
  },
  /** Samples no older than `sinceMs` ms, oldest first. */
  'lag.list': { in: z.object({ sinceMs: z.int().positive() }), out: z.array(Sample), timeoutMs: QUICK_MS },
} as const;

/** Calls that the shell makes. */
export const AGENT_METHODS = {
  ...FORWARDED_METHODS,
  /** Null: the app is not set up, so the agent has nothing to do. */
  'agent.configure': { in: z.object({ config: AgentConfig.nullable() }), out: nothing, timeoutMs: 60_000 },
  /** The operating system's word on the network; null where it has none. */
  'agent.online': { in: z.object({ online: z.boolean().nullable() }), out: nothing, timeoutMs: QUICK_MS },
  /** The PC woke from sleep: requests in flight are void. */
  'agent.wake': { in: nothing, out: nothing, timeoutMs: QUICK_MS },
  /** Opens a replica at a path where no file exists, and returns the versions that did it. */
  'agent.probe': {
    in: z.object({ file: z.string() }),
    out: z.object({ sqlite: z.string(), node: z.string() }),
    timeoutMs: 30_000,
  },
  /** Ends the run at a transaction boundary and closes the database. The agent accepts no calls afterwards. */
  'agent.stop': { in: nothing, out: nothing, timeoutMs: QUICK_MS },
  'connection.test': {
    in: z.object({ relayUrl: z.string(), feed: z.string(), token: z.string(), version: z.string() }),
    out: ConnectionTest,
    timeoutMs: REMOTE_MS,
  },
} as const;

/** Events that the agent sends unasked. */
export const AGENT_EVENTS = {
  /** The agent is ready for `agent.configure`. */
  ready: z.object({ sqlite: z.string().nullable() }),
  /** The agent's facts, after each change. The shell adds `agent`. */
  facts: Facts.omit({ agent: true }),
} as const;
