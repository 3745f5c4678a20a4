import type { Progress } from './facts.ts';

export type Severity = 'ok' | 'info' | 'busy' | 'warn' | 'error' | 'unknown';

/** Codes of ui.md's states that can occur by now. */
export type StatusCode =
  | 'starting'
  | 'unknown'
  | 'setup'
  | 'never-synced'
  | 'checking'
  | 'first-sync'
  | 'syncing'
  | 'syncing-slow'
  | 'finishing'
  | 'comparing'
  | 'repairing'
  | 'cancelling'
  | 'cancelled'
  | 'up-to-date'
  | 'up-to-date-old'
  | 'stale'
  | 'behind'
  | 'falling-behind'
  | 'relay-behind'
  | 'paused'
  | 'offline'
  | 'unreachable'
  | 'proxy'
  | 'busy'
  | 'signed-out'
  | 'forbidden'
  | 'cert'
  | 'clock'
  | 'upgrade'
  | 'resync'
  | 'scopes-changed'
  | 'altered'
  | 'differs'
  | 'horizon'
  | 'rewound'
  | 'failed'
  | 'disk-full'
  | 'db-locked'
  | 'db-damaged'
  | 'agent-restarting'
  | 'agent-down';

/** What a button does. The app maps each to one call. */
export type ActionId =
  | 'set-up'
  | 'first-sync'
  | 'sync-now'
  | 'check'
  | 'cancel'
  | 'pause'
  | 'resume'
  | 'retry'
  | 'recopy'
  | 'verify'
  | 'enter-key'
  | 'settings'
  | 'copy-details'
  | 'restart-agent';

export interface Action {
  id: ActionId;
  /** Words on the button. */
  label: string;
  /** Number beside the label: changes waiting. */
  count?: number;
}

export interface Attention {
  code: StatusCode;
  severity: Severity;
  text: string;
  since: string | null;
  action: Action | null;
}

/** What a person is told: the same in window, tray, command line, `tidemark_status` and diagnostics. */
export interface Status {
  code: StatusCode;
  severity: Severity;
  headline: string;
  detail: string;
  /** One line for the tray and the status bar. */
  short: string;
  /** Since when this holds (ISO 8601), where known. */
  since: string | null;
  primary: Action | null;
  secondary: Action[];
  progress: Progress | null;
  /** What else is wrong. */
  attention: Attention[];
  trend: 'caught up' | 'catching up' | 'steady' | 'falling behind' | 'stuck' | 'rewound' | null;
}
