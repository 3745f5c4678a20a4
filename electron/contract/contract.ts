import {
  type Cell,
  type Column,
  type Filter,
  type FilterOperator,
  MAX_FILTERS,
  type RowPage,
  type RowSet,
  type TableInfo,
  WINDOW_METHODS,
} from '@tidemark/data-reader/contract';
import type { Fault } from '@tidemark/protocol/fault';
import { Facts } from '@tidemark/status/facts';
import { Status } from '@tidemark/status/status';
import { ConnectionTest, FORWARDED_METHODS, type Sample, type TableRow } from '@tidemark/terminal/agent/contract';
import { z } from 'zod';
import { ScreenId } from './screens.ts';
import { Settings, SettingsChange, SettingsFault } from './settings.ts';

/**
 * The contract between the window and the app: one table of calls and one of events, from which the preload's caller
 * and main's handlers are derived. Both sides parse what they receive. It must stay free of Electron and Node, because
 * the page imports it. To add a call of the app's own, add an entry here and a handler in main/window/window-calls.ts;
 * for a call that the agent answers, add only an entry to FORWARDED_METHODS in terminal/agent/contract.ts. The reader
 * process answers the calls of WINDOW_METHODS in data-reader/contract.ts.
 */

/** The state that the window shows. */
export const AppState = z.object({
  facts: Facts,
  /** The status that the main process derived from the facts. The window must show it and never derive its own. */
  status: Status,
  settings: Settings,
  /** Faults in the settings that the app found at start. Empty if there are none. */
  settingsFaults: z.array(SettingsFault),
});
export type AppState = z.infer<typeof AppState>;

export type { Cell, Column, Filter, FilterOperator, RowPage, RowSet, Sample, TableInfo, TableRow };
export { MAX_FILTERS };

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
  /** Restarts the app. */
  'app.restart': { in: nothing, out: nothing },
  'state.get': { in: nothing, out: AppState },
  ...FORWARDED_METHODS,
  ...WINDOW_METHODS,
  /** Ends the window's queries that have not been answered. They are rejected with `query_cancelled`. */
  'data.cancel': { in: nothing, out: nothing },
  'agent.restart': { in: nothing, out: nothing },
  'settings.set': { in: SettingsChange, out: Settings },
  /** Tests a connection without saving it. Uses the stored key if `token` is absent. */
  'connection.test': {
    in: z.object({ relayUrl: z.string(), feed: z.string(), token: z.string().optional() }),
    out: ConnectionTest,
  },
  'clipboard.write': { in: z.object({ text: z.string().max(1_000_000) }), out: nothing },
} as const;

type Methods = typeof METHODS;
export type MethodName = keyof Methods;
export type Input<M extends MethodName> = z.input<Methods[M]['in']>;
export type Output<M extends MethodName> = z.output<Methods[M]['out']>;

/** Dialogs that the menu can open. */
export const DialogId = z.enum(['verify', 'shortcuts']);
export type DialogId = z.infer<typeof DialogId>;

/** Events that the main process sends to the window. */
export const EVENTS = {
  'state.changed': AppState,
  /** Sent when a person chooses a screen in the menu or the tray. */
  'window.show': z.object({ screen: ScreenId }),
  /** Sent when a person chooses a dialog in the menu. */
  'window.open': z.object({ dialog: DialogId }),
} as const;
export type EventName = keyof typeof EVENTS;
export type EventValue<E extends EventName> = z.output<(typeof EVENTS)[E]>;

/** The wire form of an answer between the processes. */
export type Reply<T> = { ok: true; value: T } | { ok: false; fault: Fault };

/** The API that the preload exposes as `window.tidemark`. */
export interface Bridge {
  call<M extends MethodName>(method: M, input: Input<M>): Promise<Reply<Output<M>>>;
  /** Subscribes to an event. Returns a function that ends the subscription. */
  on<E extends EventName>(event: E, listener: (value: EventValue<E>) => void): () => void;
}
