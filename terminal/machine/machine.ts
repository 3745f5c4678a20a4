import { approach, compared, compareFailed, repaired } from './machine-compare.ts';
import {
  ASK_AGAIN_MS,
  afterSettings,
  applied,
  automatic,
  begin,
  beginOf,
  cancel,
  cancelled,
  chain,
  ended,
  fail,
  follow,
  idleTick,
  installed,
  NOWHERE,
  newRun,
  open,
  openFailed,
  POLL_PAUSE_MS,
  pause,
  pullFailed,
  pullTick,
  recheck,
  resumed,
  settingsAtRest,
  settingsInRun,
  settle,
  shared,
  stay,
  step,
  take,
  tick,
  withSettings,
} from './machine-steps.ts';
import type {
  Context,
  Event,
  EventName,
  EventOf,
  Policy,
  RunState,
  Shared,
  State,
  StateName,
  StateOf,
  Step,
} from './machine-types.ts';
import { decide } from './plan.ts';
import { isDue, LONGEST_ASKED_MS, LONGEST_MS } from './retry.ts';

/**
 * The sync agent as a pure state machine: (state, event, context) → (state, effects). What each state does
 * with each event stands in TABLE; a hole in it does not compile. Nothing here does I/O, reads a clock or
 * keeps anything: agent.ts runs the effects.
 */

/** How long a relay may prepare a copy before a run that is to give up gives up, ms. */
const PREPARING_MS = 10 * 60_000;

type Handler<S extends StateName, E extends EventName> = (
  state: StateOf<S>,
  event: EventOf<E>,
  context: Context,
) => Step;
type Handlers<S extends StateName> = { [E in EventName]: Handler<S, E> };

/** What a machine is before its first event. */
export function initial(policy: Policy, paused: Shared['paused']): State {
  const start = NOWHERE;
  return {
    at: 'closed',
    configured: false,
    policy,
    cursor: null,
    start,
    paused,
    nextAt: null,
    fault: null,
    attempt: 0,
    retryAt: null,
  };
}

/** One step. */
export function next(state: State, event: Event, context: Context): Step {
  const handler = TABLE[state.at][event.type] as (state: State, event: Event, context: Context) => Step;
  return handler(state, event, context);
}

/** When the machine wants its next tick; null: only events move it. */
export function dueAt(state: State): number | null {
  const times: (number | null)[] = [state.paused?.until ?? null];
  if ('retryAt' in state) times.push(state.retryAt);
  if (state.at === 'waiting-for-snapshot') times.push(state.askAt);
  if (state.at === 'watching') times.push(state.pollAt);
  if (state.at === 'pulling') times.push(state.building?.askAt ?? null);
  if ((state.at === 'idle' || state.at === 'watching') && state.paused === null) times.push(state.nextAt);
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/** Results of work that the state did not order: of an earlier state, and void. */
const NO_RESULTS = {
  opened: stay,
  probed: stay,
  polled: stay,
  fetched: stay,
  applied: stay,
  manifest: stay,
  downloaded: stay,
  installed: stay,
  compared: stay,
  repaired: stay,
  failed: stay,
  aborted: stay,
};

/** What every state of a run has in common. */
const IN_RUN = {
  ...NO_RESULTS,
  start: stay,
  cancel: (state: State & { run: RunState }, _: object, context: Context) => cancel(state, 'settle', context),
  pause: (state: State & { run: RunState }, event: EventOf<'pause'>, context: Context) =>
    cancel({ ...state, paused: pause(state, event, context, beginOf(state.run)) }, 'settle', context),
  resume: (state: State) => step({ ...state, paused: null }),
  tick: (state: State, _: object, context: Context) => tick(state, context),
  online: stay,
  woke: (state: State & { run: RunState }) => recheck(state, state.run),
  settings: settingsInRun,
  stop: (state: State & { run: RunState }, _: object, context: Context) => cancel(state, 'stop', context),
  failed: (state: State & { run: RunState }, event: EventOf<'failed'>, context: Context) =>
    fail(state, state.run, event, context),
};

const stopNow = (state: State): Step => step({ ...shared(state), at: 'stopped' }, { do: 'abort' }, { do: 'close' });
const pauseAtRest = (state: State, event: EventOf<'pause'>, context: Context): Step =>
  step({ ...state, paused: pause(state, event, context) });

const TABLE: { [S in StateName]: Handlers<S> } = {
  unconfigured: {
    ...NO_RESULTS,
    start: stay,
    cancel: stay,
    pause: pauseAtRest,
    resume: (state) => step({ ...state, paused: null }),
    tick: (state, _, context) => tick(state, context),
    online: stay,
    woke: stay,
    settings: (state, event, context) => settingsAtRest(state, event, context, false),
    stop: stopNow,
  },
  closed: {
    ...NO_RESULTS,
    // A damaged file is put aside when a fresh copy is wanted: nothing can be saved into it.
    start: (state, event) =>
      open(state, event, state.attempt, event.mode === 'recopy' && state.fault?.code === 'db_damaged'),
    cancel: (state) => step({ ...state, retryAt: null }),
    pause: pauseAtRest,
    resume: (state) => step({ ...state, paused: null }),
    tick: (state, _, context) =>
      isDue(state.retryAt, context.now, LONGEST_MS) ? open(state, 'start-up', state.attempt) : tick(state, context),
    online: stay,
    woke: stay,
    settings: (state, event, context) => settingsAtRest(state, event, context, false),
    stop: stopNow,
  },
  opening: {
    ...NO_RESULTS,
    start: (state, event) => step({ ...state, after: event }),
    cancel: (state) => step({ ...state, after: null }),
    pause: pauseAtRest,
    resume: (state) => step({ ...state, paused: null }),
    tick: (state, _, context) => tick(state, context),
    online: stay,
    woke: stay,
    settings: (state, event, context) => settingsAtRest(state, event, context, false),
    stop: stopNow,
    opened: (state, { cursor, start, lastRunAt }, context) => {
      const { everyMs } = state.policy;
      const rest: Shared = {
        ...shared(state),
        cursor,
        start,
        nextAt: everyMs === null ? null : (lastRunAt ?? context.now - everyMs) + everyMs,
      };
      if (!rest.configured || state.after === null) return settle(rest, context);
      if (state.after !== 'start-up') return begin({ ...rest, at: 'idle' }, state.after, context);
      if (rest.paused !== null || rest.policy.watch || !rest.policy.checkAtStart) return settle(rest, context);
      return automatic({ ...rest, at: 'idle' }, 'start', context);
    },
    failed: openFailed,
  },
  idle: {
    ...NO_RESULTS,
    start: begin,
    cancel: stay,
    pause: pauseAtRest,
    resume: (state, _, context) => resumed(state, context),
    tick: (state, _, context) => idleTick(state, context),
    online: stay,
    woke: (state, _, context) => (state.paused === null ? automatic(state, 'start', context) : stay(state)),
    settings: (state, event, context) => settingsAtRest(state, event, context, true),
    stop: stopNow,
  },
  watching: {
    ...NO_RESULTS,
    start: begin,
    cancel: stay,
    pause: (state, event, context) =>
      step({ ...shared(state), at: 'idle', paused: pause(state, event, context) }, { do: 'abort' }),
    resume: stay,
    tick: (state, _, context) => idleTick(state, context),
    online: (state, { online }, context) =>
      online ? step({ ...state, since: context.now, pollAt: null }, { do: 'abort' }, { do: 'poll' }) : stay(state),
    woke: (state, _, context) => step({ ...state, since: context.now, pollAt: null }, { do: 'abort' }, { do: 'poll' }),
    settings: (state, event, context) => settingsAtRest(state, event, context, true),
    stop: stopNow,
    polled: (state, { status }, context) => {
      const run = newRun(state, { mode: 'now', trigger: 'watch', wanted: null }, context);
      if (decide(status, run, state).by !== 'nothing')
        return chain([{ do: 'began', run }], follow(state, run, status, context));
      const early = context.now - state.since < POLL_PAUSE_MS;
      if (early) return step({ ...state, pollAt: context.now + POLL_PAUSE_MS });
      return step({ ...state, since: context.now }, { do: 'poll' });
    },
    failed: (state, event, context) => {
      const run = newRun(state, { mode: 'now', trigger: 'watch', wanted: null }, context);
      return chain([{ do: 'began', run }], fail(state, run, event, context));
    },
  },
  checking: {
    ...IN_RUN,
    start: (state, event) => {
      if (state.run.mode !== 'check' || event.mode === 'check') return stay(state);
      return step({ ...state, run: { ...state.run, mode: event.mode, trigger: event.trigger, wanted: event.wanted } });
    },
    probed: (state, { status, altered }, context) => {
      const { run } = state;
      const mend = altered && run.mode !== 'check' && run.compare === null;
      return follow(state, mend ? { ...run, compare: 'altered' } : run, status, context);
    },
  },
  'waiting-for-snapshot': {
    ...IN_RUN,
    manifest: (state, { manifest }) =>
      state.run.compare === null
        ? step({ ...shared(state), at: 'downloading-snapshot', run: state.run, manifest }, { do: 'download', manifest })
        : approach(state, state.run, manifest),
    failed: (state, event, context) => {
      if (event.fault.code !== 'snapshot_building') return fail(state, state.run, event, context);
      const tooLong = state.policy.giveUpAfterMs !== null && context.now - state.since > PREPARING_MS;
      if (tooLong) return ended(state, state.run, 'failed', context, event);
      return step({ ...state, askAt: context.now + Math.min(event.retryAfterMs ?? ASK_AGAIN_MS, LONGEST_ASKED_MS) });
    },
    tick: (state, _, context) => {
      if (!isDue(state.askAt, context.now, LONGEST_ASKED_MS)) return tick(state, context);
      return step({ ...state, askAt: null }, { do: 'manifest' });
    },
  },
  'downloading-snapshot': {
    ...IN_RUN,
    downloaded: (state) => step({ ...state, at: 'installing-snapshot' }, { do: 'install', manifest: state.manifest }),
  },
  'installing-snapshot': {
    ...IN_RUN,
    woke: stay,
    installed,
  },
  pulling: {
    ...IN_RUN,
    fetched: (state, { page }) =>
      state.applying ? step({ ...state, fetching: null, ready: page }) : take(state, page),
    applied,
    failed: pullFailed,
    tick: (state, _, context) => pullTick(state, context),
  },
  comparing: {
    ...IN_RUN,
    compared,
    failed: compareFailed,
  },
  repairing: {
    ...IN_RUN,
    woke: stay,
    repaired,
    failed: compareFailed,
  },
  'waiting-to-retry': {
    ...IN_RUN,
    start: (state, event, context) => {
      const continues = event.mode === state.run.mode && event.wanted === state.run.wanted;
      if (continues) return recheck(state, state.run);
      const failed = ended(state, state.run, 'failed', context, state.failure);
      const over = failed.effects.filter((effect) => effect.do === 'ended');
      return chain(over, begin({ ...shared(failed.state), at: 'idle' }, event, context));
    },
    cancel: (state, _, context) => ended(state, state.run, 'cancelled', context),
    pause: (state, event, context) =>
      ended(
        { ...state, paused: pause(state, event, context, beginOf(state.run)) },
        state.run,
        'failed',
        context,
        state.failure,
      ),
    tick: (state, _, context) =>
      isDue(state.retryAt, context.now, LONGEST_ASKED_MS + LONGEST_MS)
        ? recheck(state, state.run)
        : tick(state, context),
    online: (state, { online }) => (online ? recheck(state, state.run) : stay(state)),
    settings: (state, event, context) => {
      const failed = ended(state, state.run, 'failed', context, state.failure);
      const over = failed.effects.filter((effect) => effect.do === 'ended');
      const changes = event.reopen || event.reconnect || !event.configured;
      if (!changes) return step({ ...state, ...withSettings(state, event, context) });
      return chain(over, settingsAtRest({ ...shared(failed.state), at: 'idle' }, event, context, true));
    },
    stop: (state) =>
      step(
        { ...shared(state), at: 'stopped' },
        { do: 'ended', run: state.run, outcome: 'failed', fault: state.failure.fault },
        { do: 'close' },
      ),
    failed: stay,
  },
  cancelling: {
    ...NO_RESULTS,
    start: (state, event) => (state.after === 'settle' ? step({ ...state, after: event }) : stay(state)),
    cancel: (state) => (typeof state.after === 'object' ? step({ ...state, after: 'settle' }) : stay(state)),
    pause: (state, event, context) => step({ ...state, paused: pause(state, event, context, beginOf(state.run)) }),
    resume: (state) =>
      step({
        ...state,
        paused: null,
        after: state.after === 'settle' ? (state.paused?.interrupted ?? 'settle') : state.after,
      }),
    tick: (state, _, context) => tick(state, context),
    online: stay,
    woke: stay,
    settings: (state, event, context) => {
      const rest = withSettings(state, event, context);
      if (state.after === 'stop') return step({ ...state, ...rest });
      return step({ ...state, ...rest, after: afterSettings(event) ?? state.after });
    },
    stop: (state) => step({ ...state, after: 'stop' }),
    // What was written before the cancel came is written.
    applied: (state, { cursor, start }) => step({ ...state, cursor, start }),
    installed: (state, { cursor, start }) => step({ ...state, cursor, start }),
    repaired: (state, { cursor, start }) => step({ ...state, cursor, start }),
    aborted: (state, _, context) => cancelled(state, context),
  },
  stopped: {
    ...NO_RESULTS,
    start: stay,
    cancel: stay,
    pause: stay,
    resume: stay,
    tick: stay,
    online: stay,
    woke: stay,
    settings: stay,
    stop: stay,
  },
};
