import type { Facts } from './facts.ts';
import { FORMAT, type Format } from './format.ts';
import { type Reading, read, type State } from './reading.ts';
import { certificate, forbidden, signedOut, upgrade } from './states/access.ts';
import { behind, horizon, neverSynced, paused } from './states/backlog.ts';
import { altered, comparing, differs, repairing, scopesChanged } from './states/comparison.ts';
import { busy, offline, proxy, unreachable } from './states/connection.ts';
import { agentDown, agentRestarting, setup, starting } from './states/engine.ts';
import { cancelled, failed } from './states/failed-run.ts';
import { clock, relayBehind, silent, stale, unknown, upToDate } from './states/freshness.ts';
import { feedFault, tablesSetAside } from './states/head-office.ts';
import { resync, rewound } from './states/history.ts';
import { databaseDamaged, databaseLocked, databaseUnusable, diskFull, logLarge } from './states/local-database.ts';
import { cancelling, checking, finishing, firstSync, stalled, syncing } from './states/running.ts';
import { action } from './states/wording.ts';
import type { Attention, Status, StatusCode } from './status.ts';
import { waitingOf } from './waiting.ts';
import { wayOf } from './way.ts';

/**
 * Derives the status that a person sees from the facts. The window, the tray, the command line and the replica's
 * `tidemark_status` all use it, so they never disagree.
 *
 * Each state is a rule: a function of the reading that returns the state, or null when the state does not apply. The
 * first rule that returns a state gives the status. The other warnings and errors are listed under `attention`.
 */

type Rule = (reading: Reading) => State | null;

/**
 * The rules, most important first. All of them are evaluated, because a state of a later rule can be listed under
 * `attention`. A rule must therefore not assume that the rules before it returned null.
 */
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
  feedFault,
  relayBehind,
  silent,
  tablesSetAside,
  clock,
  stale,
  upToDate,
];

/** Rules that give only attention. They do not describe the data, so they never hide the state that does. */
const BESIDE: readonly Rule[] = [logLarge];

/**
 * Rules that depend on the fault of the last run. Data that arrives proves that the new attempt got past that fault, so
 * during a sync these rules give attention, not the status.
 */
const FROM_LAST_RUN: ReadonlySet<Rule> = new Set([
  databaseDamaged,
  databaseLocked,
  diskFull,
  upgrade,
  signedOut,
  certificate,
  forbidden,
]);

/** States that are shown without attention, because the facts behind any other state are not known yet. */
const ALONE: ReadonlySet<StatusCode> = new Set(['setup', 'starting']);

const BACKLOG = ['behind', 'falling-behind'] as const;

/**
 * For each state, the states that are its consequences and are therefore not listed beside it. During a run, for
 * example, its changes are waiting.
 */
const CONSEQUENCES: Partial<Record<StatusCode, readonly StatusCode[]>> = {
  offline: ['unreachable', 'proxy', 'busy'],
  behind: ['falling-behind'],
  'feed-fault': ['relay-behind'],
  horizon: BACKLOG,
  syncing: BACKLOG,
  'syncing-slow': BACKLOG,
  finishing: BACKLOG,
  comparing: BACKLOG,
  repairing: BACKLOG,
  'scopes-changed': BACKLOG,
  cancelling: BACKLOG,
};

/**
 * Returns the status at the time `now` (ms since 1970). Pure and total: any facts at any time give exactly one status.
 * Returns `up-to-date` only when the relay's last answer is fresh and names this PC's position as its head. In addition,
 * the relay hears from the feed and is close to the master, no table is in trouble, and nothing has failed since (S13).
 * `format` is for tests and other locales.
 */
export function deriveStatus(facts: Facts, now: number, format: Format = FORMAT): Status {
  const reading = read(facts, now, format);
  const holding = PRECEDENCE.map((rule) => ({ rule, state: rule(reading) })).filter(
    (each): each is { rule: Rule; state: State } => each.state !== null,
  );
  const retried = reading.syncing && facts.replica.fault === null;
  const main = holding.find(({ rule }) => !(retried && FROM_LAST_RUN.has(rule)))?.state ?? unknown(reading);
  const beside = BESIDE.map((rule) => rule(reading)).filter((state) => state !== null);
  const others = ALONE.has(main.code)
    ? []
    : [...holding.map(({ state }) => state).filter((state) => state !== main), ...beside];
  const alive = facts.agent.state === 'alive';
  const cancellable = alive && (facts.phase.kind === 'syncing' || facts.phase.kind === 'checking');
  const attention = attentionBeside(main, others);
  return {
    ...main,
    secondary: cancellable && main.severity === 'error' ? [...main.secondary, action('cancel')] : main.secondary,
    progress: alive ? reading.progress : null,
    attention,
    waiting: waitingOf(reading),
    dataAsOf: reading.dataAsOf,
    answeredAt: reading.answeredAt,
    way: wayOf(reading, main, [main.code, ...attention.map(({ code }) => code)]),
    trend: reading.trend,
  };
}

/** Returns the warnings and errors among `others` that do not follow from the main state. Each code appears once. */
function attentionBeside(main: State, others: State[]): Attention[] {
  const seen = new Set<StatusCode>([main.code, ...(CONSEQUENCES[main.code] ?? [])]);
  const list: Attention[] = [];
  for (const state of others) {
    if (seen.has(state.code) || (state.severity !== 'warn' && state.severity !== 'error')) continue;
    for (const code of [state.code, ...(CONSEQUENCES[state.code] ?? [])]) seen.add(code);
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
