import { Facts } from '@tidemark/protocol/status/facts.ts';
import { z } from 'zod';
import { METHODS, Settings } from './contract.ts';

/** What the app's main process may ask of the sync engine's process: one table, from which caller and handler are derived. */

/** All that the engine is told. */
export const AgentConfig = z.object({
  relayUrl: z.string(),
  feed: z.string(),
  token: z.string(),
  centralName: z.string(),
  branchName: z.string(),
  everyMinutes: Settings.shape.everyMinutes,
  automatic: Settings.shape.automatic,
  /** One file to a feed. Its folder exists. */
  databasePath: z.string(),
  /** Version of the app, for the relay's list. */
  version: z.string(),
  /** A pause that outlived the last process. */
  paused: Facts.shape.paused,
});
export type AgentConfig = z.infer<typeof AgentConfig>;

const nothing = z.object({});
const QUICK_MS = 10_000;
/** Asks the relay, whose requests have their own, shorter limits. */
const REMOTE_MS = 90_000;

/** `timeoutMs`: a call that has no answer by then is rejected with `agent_down`. */
export const AGENT_METHODS = {
  /** Null: not set up, so there is nothing to do. */
  'agent.configure': { in: z.object({ config: AgentConfig.nullable() }), out: nothing, timeoutMs: 60_000 },
  /** What the operating system says of the network; null: it says nothing of use. */
  'agent.online': { in: z.object({ online: z.boolean().nullable() }), out: nothing, timeoutMs: QUICK_MS },
  /** The PC woke up: what waits on the network is void. */
  'agent.wake': { in: nothing, out: nothing, timeoutMs: QUICK_MS },
  /** Opens a replica at a path that does not exist, and says which SQLite did it. */
  'agent.probe': {
    in: z.object({ file: z.string() }),
    out: z.object({ sqlite: z.string(), node: z.string() }),
    timeoutMs: 30_000,
  },
  /** Ends the run at a transaction's boundary and closes the database. Nothing may be asked afterwards. */
  'agent.stop': { in: nothing, out: nothing, timeoutMs: QUICK_MS },
  'sync.start': { ...METHODS['sync.start'], timeoutMs: QUICK_MS },
  'sync.cancel': { ...METHODS['sync.cancel'], timeoutMs: QUICK_MS },
  'sync.pause': { ...METHODS['sync.pause'], timeoutMs: QUICK_MS },
  'sync.resume': { ...METHODS['sync.resume'], timeoutMs: QUICK_MS },
  'waiting.list': { ...METHODS['waiting.list'], timeoutMs: REMOTE_MS },
  'tables.list': { ...METHODS['tables.list'], timeoutMs: REMOTE_MS },
  'runs.list': { ...METHODS['runs.list'], timeoutMs: QUICK_MS },
  'lag.list': { ...METHODS['lag.list'], timeoutMs: QUICK_MS },
  'connection.test': {
    in: z.object({ relayUrl: z.string(), feed: z.string(), token: z.string(), version: z.string() }),
    out: METHODS['connection.test'].out,
    timeoutMs: REMOTE_MS,
  },
} as const;

/** What the engine tells, unasked. */
export const AGENT_EVENTS = {
  /** Ready to be configured. */
  ready: z.object({ sqlite: z.string().nullable() }),
  /** Its facts, after each change. `agent` is left to the app. */
  facts: Facts.omit({ agent: true }),
} as const;
