import type { Facts } from './facts.ts';
import { FORMAT, type Format } from './format.ts';
import { action, type Found, type Reading, read } from './reading.ts';
import { cancelling, checking, finishing, firstSync, paused, stalled, syncing } from './rules-activity.ts';
import { altered, comparing, differs, repairing, scopesChanged } from './rules-compare.ts';
import {
  behind,
  cancelled,
  clock,
  horizon,
  neverSynced,
  relayBehind,
  silent,
  stale,
  unknown,
  upToDate,
} from './rules-data.ts';
import { agentDown, agentRestarting, setup, starting } from './rules-engine.ts';
import {
  busy,
  certificate,
  databaseDamaged,
  databaseLocked,
  databaseUnusable,
  diskFull,
  failed,
  forbidden,
  offline,
  proxy,
  resync,
  rewound,
  signedOut,
  unreachable,
  upgrade,
} from './rules-fault.ts';
import type { Attention, Status, StatusCode } from './status.ts';

type Rule = (reading: Reading) => Found | null;

/** First match is what is shown; what is wrong besides becomes attention. */
const PRECEDENCE: readonly Rule[] = [
  agentDown,
  agentRestarting,
  setup,
  starting,
  databaseDamaged,
  databaseLocked,
  databaseUnusable,
  diskFull,
  upgrade,
  signedOut,
  certificate,
  forbidden,
  resync,
  rewound,
  cancelling,
  stalled,
  finishing,
  comparing,
  repairing,
  firstSync,
  syncing,
  checking,
  paused,
  offline,
  unreachable,
  proxy,
  busy,
  altered,
  differs,
  failed,
  cancelled,
  neverSynced,
  scopesChanged,
  horizon,
  behind,
  relayBehind,
  clock,
  stale,
  upToDate,
  // After what it qualifies: it is told besides.
  silent,
];

/** Rules that rest on the fault of the last run. Data that flows is the proof that a new try got past it, so it waits in attention meanwhile. */
const OF_LAST_RUN: ReadonlySet<Rule> = new Set([
  databaseDamaged,
  databaseLocked,
  diskFull,
  upgrade,
  signedOut,
  certificate,
  forbidden,
]);

/** States in which the facts below them are not to be trusted, or say nothing. */
const ALONE: ReadonlySet<StatusCode> = new Set(['setup', 'starting']);

/** What follows from a state and is therefore not listed beside it. */
const FOLLOWS: Partial<Record<StatusCode, readonly StatusCode[]>> = {
  offline: ['unreachable', 'proxy', 'busy'],
  behind: ['falling-behind'],
  horizon: ['behind', 'falling-behind'],
  // What waits is what is on its way.
  syncing: ['behind', 'falling-behind'],
  'syncing-slow': ['behind', 'falling-behind'],
  finishing: ['behind', 'falling-behind'],
  comparing: ['behind', 'falling-behind'],
  repairing: ['behind', 'falling-behind'],
  'scopes-changed': ['behind', 'falling-behind'],
  cancelling: ['behind', 'falling-behind'],
};

/**
 * What a person is told, from the facts and the clock (`now` in ms): the same in window, tray, command line and SQL.
 * Pure and total: any facts give exactly one state, in the words of this one place. `up-to-date` is only said when the
 * relay's last answer is fresh, names our position as its head, the relay itself is close to the master, and nothing
 * has failed since. `format` is for tests and other locales.
 */
export function deriveStatus(facts: Facts, now: number, format: Format = FORMAT): Status {
  const reading = read(facts, now, format);
  const all = PRECEDENCE.map((rule) => ({ rule, state: rule(reading) })).filter(
    (each): each is { rule: Rule; state: Found } => each.state !== null,
  );
  const retried = reading.syncing && facts.replica.fault === null;
  const main = all.find(({ rule }) => !(retried && OF_LAST_RUN.has(rule)))?.state ?? unknown(reading);
  const rest = ALONE.has(main.code) ? [] : all.map(({ state }) => state).filter((state) => state !== main);
  const running = facts.agent.state === 'alive' && (facts.phase.kind === 'syncing' || facts.phase.kind === 'checking');
  return {
    ...main,
    secondary: running && main.severity === 'error' ? [...main.secondary, action('cancel')] : main.secondary,
    progress: facts.agent.state === 'alive' ? reading.progress : null,
    attention: attentionOf(main, rest),
    trend: reading.trend,
  };
}

function attentionOf(main: Found, rest: Found[]): Attention[] {
  const seen = new Set<StatusCode>([main.code, ...(FOLLOWS[main.code] ?? [])]);
  const list: Attention[] = [];
  for (const state of rest) {
    if (seen.has(state.code) || (state.severity !== 'warn' && state.severity !== 'error')) continue;
    seen.add(state.code);
    list.push({
      code: state.code,
      severity: state.severity,
      text: `${state.headline}. ${state.detail}`,
      since: state.since,
      action: state.primary,
    });
  }
  return list;
}
