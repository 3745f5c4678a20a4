import { RelayStatus, TransactionList } from '@tidemark/protocol/api.ts';
import { Seq } from '@tidemark/protocol/cursor.ts';
import { Facts, Fault, Mode, Run } from '@tidemark/protocol/status/facts.ts';
import { z } from 'zod';

/**
 * Everything that the window may ask of the app: one table from method name to input and output.
 * The preload's caller and main's handler are both derived from it.
 */

export const Settings = z.object({
  relayUrl: z.union([z.literal(''), z.url({ protocol: /^https?$/ })]),
  feed: z.string(),
  /** Whether a key is stored; the key itself never reaches the window. */
  hasToken: z.boolean(),
  /** Where the key is kept: by the operating system's key store, or only by file rights. */
  tokenStore: z.enum(['os', 'file', 'none']),
  centralName: z.string().max(60),
  branchName: z.string().max(60),
  /** Automatic sync every this many minutes; 0 is off. */
  everyMinutes: z.union([z.literal(0), z.literal(1), z.literal(5), z.literal(15), z.literal(60)]),
  /** Whether an automatic check also pulls, or only tells. */
  automatic: z.enum(['sync', 'check']),
  theme: z.enum(['system', 'light', 'dark']),
  databasePath: z.string(),
});
export type Settings = z.infer<typeof Settings>;

export const SettingsChange = Settings.pick({
  relayUrl: true,
  feed: true,
  centralName: true,
  branchName: true,
  everyMinutes: true,
  automatic: true,
  theme: true,
})
  .extend({ token: z.string().trim().min(1).max(500) })
  .partial();
export type SettingsChange = z.infer<typeof SettingsChange>;

/** What the window shows: facts for deriveStatus, and settings. */
export const AppState = z.object({
  facts: Facts,
  settings: Settings,
  /** Why settings could not be used as they were found (`settings_invalid`), until they are saved anew. */
  settingsFault: Fault.nullable(),
});
export type AppState = z.infer<typeof AppState>;

export const Sample = z.object({
  /** ISO 8601. */
  at: z.string(),
  /** Changes waiting; null: not known then. */
  waiting: z.int().nonnegative().nullable(),
  /** Relay-to-terminal lag, ms; null: not known. */
  lagMs: z.number().nonnegative().nullable(),
  /** Master-to-relay lag, ms; null: not known. */
  sourceLagMs: z.number().nonnegative().nullable(),
});
export type Sample = z.infer<typeof Sample>;

export const TableRow = z.object({
  name: z.string(),
  /** Rows here; null: not here yet. */
  rows: z.int().nonnegative().nullable(),
  waiting: z.int().nonnegative().nullable(),
  /** Commit time of the last change applied or waiting. */
  lastChangeAt: z.string().nullable(),
});
export type TableRow = z.infer<typeof TableRow>;

const nothing = z.object({});

export const METHODS = {
  'app.info': {
    in: nothing,
    out: z.object({
      version: z.string(),
      electron: z.string(),
      node: z.string(),
      sqlite: z.string().nullable(),
      platform: z.string(),
    }),
  },
  /** Ends the app and starts it again. */
  'app.restart': { in: nothing, out: nothing },
  'state.get': { in: nothing, out: AppState },
  /** Starts a run and returns at once; progress comes as state. `target` goes with `up-to`. */
  'sync.start': {
    in: z.object({ mode: Mode, target: Seq.optional() }),
    out: nothing,
  },
  'sync.cancel': { in: nothing, out: nothing },
  /** Until when (ISO 8601), or null: until resumed. */
  'sync.pause': { in: z.object({ until: z.iso.datetime().nullable() }), out: nothing },
  'sync.resume': { in: nothing, out: nothing },
  'agent.restart': { in: nothing, out: nothing },
  'waiting.list': { in: z.object({ after: Seq.nullable(), limit: z.int().min(1).max(500) }), out: TransactionList },
  'tables.list': { in: nothing, out: z.array(TableRow) },
  /** Newest first; `before` is the `startedAt` of the last run of the page before. */
  'runs.list': { in: z.object({ before: z.string().nullable(), limit: z.int().min(1).max(500) }), out: z.array(Run) },
  /** Samples of the last `sinceMs` ms (an age, not a moment), oldest first. */
  'lag.list': { in: z.object({ sinceMs: z.int().positive() }), out: z.array(Sample) },
  'settings.set': { in: SettingsChange, out: Settings },
  /** Tries a connection without storing it; a missing token means the stored one. */
  'connection.test': {
    in: z.object({ relayUrl: z.string(), feed: z.string(), token: z.string().optional() }),
    out: z.discriminatedUnion('ok', [
      z.object({ ok: z.literal(true), status: RelayStatus, latencyMs: z.number() }),
      z.object({ ok: z.literal(false), fault: Fault }),
    ]),
  },
  'clipboard.write': { in: z.object({ text: z.string().max(1_000_000) }), out: nothing },
} as const;

export type Methods = typeof METHODS;
export type MethodName = keyof Methods;
export type Input<M extends MethodName> = z.input<Methods[M]['in']>;
export type Output<M extends MethodName> = z.output<Methods[M]['out']>;

/** What main tells the window, unasked. */
export const EVENTS = {
  'state.changed': AppState,
  /** Asked for in the menu or the tray. */
  'window.show': z.object({ screen: z.enum(['sync', 'activity', 'settings', 'shortcuts', 'verify']) }),
} as const;
export type EventName = keyof typeof EVENTS;
export type EventValue<E extends EventName> = z.output<(typeof EVENTS)[E]>;

/** An answer as it crosses the boundary. */
export type Reply<T> = { ok: true; value: T } | { ok: false; fault: Fault };

/** What the preload puts on `window.tidemark`. */
export interface Bridge {
  call<M extends MethodName>(method: M, input: Input<M>): Promise<Reply<Output<M>>>;
  /** Returns the function that ends the subscription. */
  on<E extends EventName>(event: E, listener: (value: EventValue<E>) => void): () => void;
}
