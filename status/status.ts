import { Time, type TimeSchema, TimeText } from '@tidemark/protocol/time';
import { z } from 'zod';
import { progressOf } from './facts.ts';

/**
 * The status of a terminal, as shown on every screen, on the command line and in `tidemark_status`. Headlines and
 * details are sentences without a final full stop.
 */

/**
 * The importance of a state. `ok`: only `up-to-date`. `info`: no action is needed soon. `busy`: work is under way.
 * `warn` and `error`: a person should act. `unknown`: the facts are missing.
 */
export const Severity = z.enum(['ok', 'info', 'busy', 'warn', 'error', 'unknown']);
export type Severity = z.infer<typeof Severity>;

/** The states. For a new state, add a rule to `PRECEDENCE` in derive.ts and its words to the tests. */
export const StatusCode = z.enum([
  /** The engine is opening the replica. */
  'starting',
  /** No other state follows from the facts. */
  'unknown',
  /** No address or no key. */
  'setup',
  /** No data yet. */
  'never-synced',
  /** Asking the relay for changes. */
  'checking',
  /** Receiving the first copy. */
  'first-sync',
  /** Receiving changes or a fresh copy. */
  'syncing',
  /** A run has received no data for longer than the stall limit. */
  'syncing-slow',
  /** Saving the position. */
  'finishing',
  /** Comparing rows with the relay. */
  'comparing',
  /** Downloading rows that differ. */
  'repairing',
  /** Ending a run at a safe point. */
  'cancelling',
  /** A person cancelled the last run. */
  'cancelled',
  /** All conditions of `up-to-date` hold. This is the only green state. */
  'up-to-date',
  /** This PC was up to date at the last answer, which is no longer fresh. */
  'up-to-date-old',
  /** The last answer is so old that the data may be out of date. */
  'stale',
  /** Changes are waiting. */
  'behind',
  /** Changes arrive faster than this PC receives them. */
  'falling-behind',
  /** The feed reports a fault, so the relay receives no changes. */
  'feed-fault',
  /** The relay is behind the master, or does not hear from it. */
  'relay-behind',
  /** Tables do not follow the master: they are set aside, or left out. */
  'set-aside',
  /** A person paused automatic runs. */
  'paused',
  /** The operating system reports no network. */
  'offline',
  /** The relay does not answer. */
  'unreachable',
  /** Something other than the relay answers. */
  'proxy',
  /** The relay asks this PC to wait. */
  'busy',
  /** The relay refuses the key. */
  'signed-out',
  /** The key does not give access to this data. */
  'forbidden',
  /** The relay's certificate cannot be verified. */
  'cert',
  /** This PC's clock differs from the relay's. */
  'clock',
  /** This program or the relay is too old. */
  'upgrade',
  /** The relay has dropped changes that this PC did not receive. */
  'resync',
  /** Head office changed the data selection of this PC. */
  'scopes-changed',
  /** Another program changed the replica. */
  'altered',
  /** A comparison without repair found differences. */
  'differs',
  /** The relay will soon drop changes that are waiting. */
  'horizon',
  /** The relay's history was reset, or is shorter than this PC's. */
  'rewound',
  /** The last run failed for another reason, or the database cannot be opened. */
  'failed',
  /** Not enough disk space. */
  'disk-full',
  /** Another program keeps the replica in use. */
  'db-locked',
  /** Another program keeps the replica's write-ahead log from being emptied. Never the main state. */
  'log-large',
  /** The replica is damaged. */
  'db-damaged',
  /** The engine failed and is being restarted. */
  'agent-restarting',
  /** The engine failed too often. */
  'agent-down',
]);
export type StatusCode = z.infer<typeof StatusCode>;

/** The action of a button. The app turns each into one call. */
export const ActionId = z.enum([
  /** Opens the setup assistant. */
  'set-up',
  /** Starts the first sync. */
  'first-sync',
  /** Starts a sync. */
  'sync-now',
  /** Asks the relay for changes. */
  'check',
  /** Ends the run at a safe point. */
  'cancel',
  /** Pauses until a person resumes. */
  'pause',
  /** Ends the pause. */
  'resume',
  /** Repeats the failed run now. */
  'retry',
  /** Downloads a fresh copy after a confirmation. */
  'recopy',
  /** Compares with the relay and repairs. */
  'verify',
  /** Opens the settings at the key. */
  'enter-key',
  /** Opens the settings. */
  'settings',
  /** Copies the details for support. */
  'copy-details',
  /** Restarts the engine. */
  'restart-agent',
]);
export type ActionId = z.infer<typeof ActionId>;

/** A button. */
export const Action = z.object({
  id: ActionId,
  /** The text on the button. */
  label: z.string(),
  /** Number of changes waiting, shown beside the label. */
  count: z.number().optional(),
});
export type Action = z.infer<typeof Action>;

const attentionOf = <T extends TimeSchema>(time: T) =>
  z.object({
    code: StatusCode,
    severity: Severity,
    /** The headline and the detail, as two sentences. */
    text: z.string(),
    since: z.nullable(time),
    action: Action.nullable(),
  });
/** A warning or an error that holds in addition to the main state. */
export const Attention = attentionOf(Time);
export type Attention = z.infer<typeof Attention>;

/** One hop of the way from head office to this PC. */
export const Hop = z.object({
  /** `ok` only while the relay's last answer holds. */
  state: z.enum(['ok', 'busy', 'info', 'warn', 'error', 'unknown']),
  /** Whether no data can pass. */
  broken: z.boolean(),
  text: z.string(),
  /** Absolute values, for the tooltip. */
  more: z.string(),
});
export type Hop = z.infer<typeof Hop>;

const statusOf = <T extends TimeSchema>(time: T) =>
  z.object({
    code: StatusCode,
    severity: Severity,
    /** The state in a few words. */
    headline: z.string(),
    /** The cause, the data that is safe, and the remedy. */
    detail: z.string(),
    /** One line for the tray and the status bar. */
    short: z.string(),
    /** When the state began. Null: unknown. */
    since: z.nullable(time),
    /** The most useful next action. Null: a person can only wait. */
    primary: Action.nullable(),
    secondary: z.array(Action),
    /** Progress of the run under way. Null when there is none. */
    progress: progressOf(time).nullable(),
    /** Other warnings and errors that apply, most important first. */
    attention: z.array(attentionOf(time)),
    /** The waiting changes. */
    waiting: z.object({
      /** Their number. 0 only while the last answer shows that none waits. Null: unknown. */
      changes: z.int().nonnegative().nullable(),
      /** The number for people: `1,284`, `0`, `Unknown`, or `—` before the first sync. */
      text: z.string(),
      /** Size and time of the number, or why it is unknown. */
      detail: z.string(),
    }),
    /** The time up to which this PC holds head office's changes. Null: no data. */
    dataAsOf: z.nullable(time),
    /** When the relay last answered. Null: never. */
    answeredAt: z.nullable(time),
    /** The hops from head office to the relay, and from the relay to this PC. */
    way: z.object({ source: Hop, own: Hop }),
    /** The direction of the backlog, see trend.ts. Null: too few answers yet. */
    trend: z.enum(['caught up', 'catching up', 'steady', 'falling behind', 'stuck', 'rewound']).nullable(),
  });

/** The derived status. */
export const Status = statusOf(Time);
export type Status = z.infer<typeof Status>;
/** {@link Status} in JSON output: times are text. */
export const StatusJson = statusOf(TimeText);
