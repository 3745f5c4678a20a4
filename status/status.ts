import { Time, type TimeSchema, TimeText } from '@tidemark/protocol/time';
import { z } from 'zod';
import { progressOf } from './facts.ts';

export const Severity = z.enum(['ok', 'info', 'busy', 'warn', 'error', 'unknown']);
export type Severity = z.infer<typeof Severity>;

/** Codes of ui.md's states that can occur by now. */
export const StatusCode = z.enum([
  'starting',
  'unknown',
  'setup',
  'never-synced',
  'checking',
  'first-sync',
  'syncing',
  'syncing-slow',
  'finishing',
  'comparing',
  'repairing',
  'cancelling',
  'cancelled',
  'up-to-date',
  'up-to-date-old',
  'stale',
  'behind',
  'falling-behind',
  'relay-behind',
  'paused',
  'offline',
  'unreachable',
  'proxy',
  'busy',
  'signed-out',
  'forbidden',
  'cert',
  'clock',
  'upgrade',
  'resync',
  'scopes-changed',
  'altered',
  'differs',
  'horizon',
  'rewound',
  'failed',
  'disk-full',
  'db-locked',
  'db-damaged',
  'agent-restarting',
  'agent-down',
]);
export type StatusCode = z.infer<typeof StatusCode>;

/** What a button does. The app maps each to one call. */
export const ActionId = z.enum([
  'set-up',
  'first-sync',
  'sync-now',
  'check',
  'cancel',
  'pause',
  'resume',
  'retry',
  'recopy',
  'verify',
  'enter-key',
  'settings',
  'copy-details',
  'restart-agent',
]);
export type ActionId = z.infer<typeof ActionId>;

export const Action = z.object({
  id: ActionId,
  /** Words on the button. */
  label: z.string(),
  /** Number beside the label: changes waiting. */
  count: z.number().optional(),
});
export type Action = z.infer<typeof Action>;

const attentionOf = <T extends TimeSchema>(time: T) =>
  z.object({
    code: StatusCode,
    severity: Severity,
    text: z.string(),
    since: z.nullable(time),
    action: Action.nullable(),
  });
export const Attention = attentionOf(Time);
export type Attention = z.infer<typeof Attention>;

const statusOf = <T extends TimeSchema>(time: T) =>
  z.object({
    code: StatusCode,
    severity: Severity,
    headline: z.string(),
    detail: z.string(),
    /** One line for the tray and the status bar. */
    short: z.string(),
    /** Since when this holds, where known. */
    since: z.nullable(time),
    primary: Action.nullable(),
    secondary: z.array(Action),
    progress: progressOf(time).nullable(),
    /** What else is wrong. */
    attention: z.array(attentionOf(time)),
    trend: z.enum(['caught up', 'catching up', 'steady', 'falling behind', 'stuck', 'rewound']).nullable(),
  });

/** What a person is told: the same in window, tray, command line, `tidemark_status` and diagnostics. */
export const Status = statusOf(Time);
export type Status = z.infer<typeof Status>;
/** {@link Status} in JSON output: times are text. */
export const StatusJson = statusOf(TimeText);
