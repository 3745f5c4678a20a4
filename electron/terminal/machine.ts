import { ERRORS } from '@tidemark/protocol/errors.ts';
import type {
  After,
  Begin,
  Context,
  Effect,
  Event,
  EventName,
  EventOf,
  Failure,
  PageInHand,
  Policy,
  PullPlan,
  RunState,
  Shared,
  State,
  StateName,
  StateOf,
  Step,
} from './machine-types.ts';
import { decide } from './plan.ts';
import { isDue, LONGEST_ASKED_MS, LONGEST_MS, waitMs } from './retry.ts';

/**
 * The sync agent as a pure state machine: (state, event, context) → (state, effects). What each state does
 * with each event stands in TABLE; a hole in it does not compile. Nothing here does I/O, reads a clock or
 * keeps anything: agent.ts runs the effects.
 */

/** How long a relay may prepare a copy before a run that is to give up gives up, ms. */
const PREPARING_MS = 10 * 60_000;
/** How often it is asked whether the copy is ready, where it does not say, ms. */
const ASK_AGAIN_MS = 2_000;
/** A long poll that was answered at once with nothing is not repeated at once, ms. */
const POLL_PAUSE_MS = 1_000;

type Handler<S extends StateName, E extends EventName> = (
  state: StateOf<S>,
  event: EventOf<E>,
  context: Context,
) => Step;
type Handlers<S extends StateName> = { [E in EventName]: Handler<S, E> };

const step = (state: State, ...effects: Effect[]): Step => ({ state, effects });
const stay = (state: State): Step => step(state);

/** What a machine is before its first event. */
export function initial(policy: Policy, paused: Shared['paused']): State {
  const start = { seq: 0, part: 0 } as Shared['start'];
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
  if ((state.at === 'idle' || state.at === 'watching') && state.paused === null) times.push(state.nextAt);
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/** What every state shares, without what is its own. */
function shared({ configured, policy, cursor, start, paused, nextAt }: Shared): Shared {
  return { configured, policy, cursor, start, paused, nextAt };
}

function newRun(state: State, begin: Begin, context: Context): RunState {
  return {
    mode: begin.mode,
    trigger: begin.trigger,
    wanted: begin.wanted,
    id: context.newId(),
    startedAt: context.now,
    from: state.cursor,
    target: null,
    snapshot: null,
    copied: false,
    retries: 0,
    attempt: 0,
    failingSince: null,
    replanned: false,
  };
}

function begin(state: State, wanted: Begin, context: Context): Step {
  const run = newRun(state, wanted, context);
  const poll: Effect[] = state.at === 'watching' ? [{ do: 'abort' }] : [];
  return step({ ...shared(state), at: 'checking', run }, ...poll, { do: 'began', run }, { do: 'probe' });
}

/** A run that nobody clicked. The first copy is a person's choice. */
function automatic(state: State, trigger: 'start' | 'schedule', context: Context): Step {
  const due = trigger === 'schedule' || isDue(state.nextAt, context.now, state.policy.everyMs ?? 0);
  const pull = state.policy.automatic === 'sync' && state.cursor !== null && due;
  return begin(state, { mode: pull ? 'now' : 'check', trigger, wanted: null }, context);
}

/** Where the machine rests: it follows the relay, or waits for what comes. */
function settle(state: Shared, context: Context, failed = false): Step {
  const rest = shared(state);
  if (!rest.configured) return step({ ...rest, at: 'unconfigured' });
  if (rest.policy.watch && rest.paused === null && !failed)
    return step({ ...rest, at: 'watching', since: context.now, pollAt: null }, { do: 'poll' });
  return step({ ...rest, at: 'idle' });
}

function then(first: Effect[], following: Step): Step {
  return step(following.state, ...first, ...following.effects);
}

function ended(
  state: Shared,
  run: RunState,
  outcome: 'done' | 'nothing-new' | 'cancelled' | 'failed',
  context: Context,
  failure?: Failure,
): Step {
  const { everyMs, automatic } = state.policy;
  // A check by hand does not put off the sync that is due.
  const counts = run.mode !== 'check' || automatic === 'check' || run.trigger === 'schedule';
  const rest = { ...shared(state), nextAt: everyMs === null ? null : counts ? context.now + everyMs : state.nextAt };
  return then(
    [{ do: 'ended', run, outcome, fault: failure?.fault ?? null }],
    settle(rest, context, outcome === 'failed'),
  );
}

/** An attempt failed: the run waits for another, or ends. */
function fail(state: Shared, run: RunState, failure: Failure, context: Context): Step {
  const fresh = failure.progressed ? { ...run, attempt: 0, failingSince: null } : run;
  const attempt = fresh.attempt + 1;
  const failingSince = fresh.failingSince ?? context.now;
  const wait = waitMs(attempt, failure.retryAfterMs, context.random());
  const limit = state.policy.giveUpAfterMs;
  const hopeless = !ERRORS[failure.fault.code].retry || (limit !== null && context.now + wait - failingSince > limit);
  if (hopeless || state.paused !== null) return then([{ do: 'abort' }], ended(state, run, 'failed', context, failure));
  const waiting = { ...fresh, attempt, failingSince, retries: run.retries + 1 };
  return step(
    { ...shared(state), at: 'waiting-to-retry', run: waiting, failure, retryAt: context.now + wait },
    { do: 'abort' },
    { do: 'attempt-failed', run: waiting, failure },
  );
}

/** Asks the relay anew, for the same run. */
function recheck(state: Shared, run: RunState): Step {
  return step({ ...shared(state), at: 'checking', run }, { do: 'abort' }, { do: 'probe' });
}

function progressed(run: RunState): RunState {
  return run.attempt === 0 ? run : { ...run, attempt: 0, failingSince: null };
}

function follow(state: Shared, run: RunState, status: EventOf<'probed'>['status'], context: Context): Step {
  const decision = decide(status, run, state);
  switch (decision.by) {
    case 'nothing':
      return ended(state, run, 'nothing-new', context);
    case 'failure':
      return fail(state, run, { fault: decision.fault, retryAfterMs: null, progressed: false }, context);
    case 'pages':
      return pull(state, { ...run, target: { epoch: decision.plan.epoch, seq: decision.plan.target } }, decision.plan);
    case 'snapshot':
      return askForSnapshot(state, { ...run, target: decision.target, snapshot: decision.reason }, context);
  }
}

function askForSnapshot(state: Shared, run: RunState, context: Context): Step {
  return step(
    { ...shared(state), at: 'waiting-for-snapshot', run, since: context.now, askAt: null },
    { do: 'manifest' },
  );
}

function pull(state: Shared, run: RunState, plan: PullPlan): Step {
  const pulling = {
    ...shared(state),
    at: 'pulling' as const,
    run,
    plan,
    fetching: state.start,
    ready: null,
    applying: null,
    fetchFailure: null,
  };
  return step(pulling, fetch(pulling, state.start));
}

const fetch = (state: Pick<StateOf<'pulling'>, 'plan' | 'run'>, start: PageInHand['start']): Effect => ({
  do: 'fetch',
  plan: state.plan,
  start,
  fresh: state.run.attempt > 0,
});

const isEnd = (start: PageInHand['start'], { target }: PullPlan) => start.seq >= target && start.part === 0;
const same = (a: PageInHand['start'], b: PageInHand['start']) => a.seq === b.seq && a.part === b.part;

/** Applies a page, and fetches the one after it meanwhile. */
function take(state: StateOf<'pulling'>, page: PageInHand): Step {
  const ahead = page.next !== null && !isEnd(page.next, state.plan) ? page.next : null;
  const applying: StateOf<'pulling'> = { ...state, applying: page, ready: null, fetching: ahead };
  return step(applying, ...(ahead === null ? [] : [fetch(state, ahead)]), { do: 'apply', page });
}

/** The page is in. Goes on with the next one, which may be here, on its way, or have failed. */
function applied(state: StateOf<'pulling'>, { cursor, start }: EventOf<'applied'>, context: Context): Step {
  const before = state.start;
  const now: StateOf<'pulling'> = {
    ...state,
    cursor,
    start,
    run: progressed(state.run),
    applying: null,
    fetchFailure: null,
  };
  if (isEnd(start, state.plan)) return ended(now, now.run, 'done', context);
  // A page that brings nothing and leads nowhere would be asked for for ever.
  if (same(before, start))
    return fail(
      now,
      now.run,
      { fault: { code: 'page_out_of_order', params: {} }, retryAfterMs: null, progressed: false },
      context,
    );
  if (state.fetchFailure) return fail(now, now.run, state.fetchFailure, context);
  if (state.ready && same(state.ready.start, start)) return take(now, state.ready);
  if (state.fetching && same(state.fetching, start)) return step(now);
  return step(
    { ...now, ready: null, fetching: start },
    ...(state.fetching ? [{ do: 'abort' } as const] : []),
    fetch(now, start),
  );
}

/** The relay's history changed while pages came: it is asked once more what to do. */
function pullFailed(state: StateOf<'pulling'>, event: EventOf<'failed'>, context: Context): Step {
  if (event.work === 'fetch' && state.applying) return step({ ...state, fetching: null, fetchFailure: event });
  const moved =
    event.fault.code === 'epoch_changed' ||
    event.fault.code === 'behind_horizon' ||
    event.fault.code === 'page_other_epoch';
  if (moved && !state.run.replanned) return recheck(state, { ...state.run, replanned: true });
  return fail(state, state.run, event, context);
}

function installed(
  state: StateOf<'installing-snapshot'>,
  { cursor, start }: EventOf<'installed'>,
  context: Context,
): Step {
  const run: RunState = { ...progressed(state.run), copied: true };
  const rest = { ...shared(state), cursor, start };
  if (run.target === null) return ended(rest, run, 'done', context);
  if (run.target.epoch !== cursor.epoch) return recheck(rest, { ...run, target: null });
  if (cursor.seq >= run.target.seq) return ended(rest, run, 'done', context);
  return pull(rest, run, { epoch: cursor.epoch, scopes: state.manifest.scopes, target: run.target.seq });
}

function cancel(state: State & { run: RunState }, after: After, context: Context): Step {
  return step({ ...shared(state), at: 'cancelling', run: state.run, since: context.now, after }, { do: 'abort' });
}

/** The run was stopped, and all that it did has ended. */
function cancelled(state: StateOf<'cancelling'>, context: Context): Step {
  const over: Effect = { do: 'ended', run: state.run, outcome: 'cancelled', fault: null };
  const after = state.after;
  if (after === 'stop') return step({ ...shared(state), at: 'stopped' }, over, { do: 'close' });
  if (after === 'close') return step({ ...shared(state), cursor: null, at: 'unconfigured' }, over, { do: 'close' });
  if (after === 'reopen')
    return then([over, { do: 'close' }], open(state, { mode: 'check', trigger: 'start', wanted: null }, 0));
  if (after === 'settle') return then([over], settle(state, context));
  return then([over], begin(state, after, context));
}

function open(state: Shared, after: StateOf<'opening'>['after'], attempt: number, setAside = false): Step {
  return step(
    { ...shared(state), cursor: null, start: initial(state.policy, null).start, at: 'opening', attempt, after },
    { do: 'open', setAside },
  );
}

function openFailed(state: StateOf<'opening'>, { fault }: Failure, context: Context): Step {
  const attempt = state.attempt + 1;
  const { retry } = ERRORS[fault.code];
  const retryAt = retry ? context.now + waitMs(attempt, null, context.random()) : null;
  return step({ ...shared(state), at: 'closed', fault, attempt, retryAt });
}

function pause(
  state: State,
  event: EventOf<'pause'>,
  context: Context,
  interrupted: Begin | null = null,
): Shared['paused'] {
  const before = state.paused;
  return {
    since: before?.since ?? context.now,
    until: event.until,
    by: event.by,
    interrupted: interrupted ?? before?.interrupted ?? null,
  };
}

const beginOf = ({ mode, trigger, wanted }: RunState): Begin => ({ mode, trigger, wanted });

/** The pause is over: what it interrupted goes on. */
function resumed(state: State, context: Context): Step {
  const rest: State = { ...state, paused: null };
  if (state.paused === null) return step(rest);
  if (rest.at !== 'idle') return step(rest);
  if (state.paused.interrupted) return begin(rest, state.paused.interrupted, context);
  if (rest.policy.watch) return settle(rest, context);
  return rest.policy.everyMs === null
    ? begin(rest, { mode: 'check', trigger: 'manual', wanted: null }, context)
    : automatic(rest, 'schedule', context);
}

const pauseIsOver = (state: State, { now }: Context) =>
  state.paused !== null && state.paused.until !== null && now >= state.paused.until;

/** A tick in a state that waits for nothing of its own. */
const tick = (state: State, context: Context): Step =>
  pauseIsOver(state, context) ? resumed(state, context) : stay(state);

function idleTick(state: StateOf<'idle'> | StateOf<'watching'>, context: Context): Step {
  if (pauseIsOver(state, context)) return resumed(state, context);
  if (state.paused === null && isDue(state.nextAt, context.now, state.policy.everyMs ?? 0))
    return automatic(state, 'schedule', context);
  if (state.at === 'watching' && isDue(state.pollAt, context.now, POLL_PAUSE_MS)) {
    return step({ ...state, since: context.now, pollAt: null }, { do: 'poll' });
  }
  return stay(state);
}

/** New policy for the schedule: counted from now. */
function withSettings(state: Shared, event: EventOf<'settings'>, context: Context): Shared {
  const { policy, configured } = event;
  const same = policy.everyMs === state.policy.everyMs;
  const nextAt = same ? state.nextAt : policy.everyMs === null ? null : context.now + policy.everyMs;
  return { ...shared(state), configured, policy, nextAt };
}

/** Settings while nothing runs. */
function settingsAtRest(state: State, event: EventOf<'settings'>, context: Context, isOpen: boolean): Step {
  const rest = withSettings(state, event, context);
  const poll: Effect[] = state.at === 'watching' ? [{ do: 'abort' }] : [];
  if (!event.feedNamed) return step({ ...rest, cursor: null, at: 'unconfigured' }, ...poll, { do: 'close' });
  if (event.reopen || !isOpen) return then([...poll, { do: 'close' }], open(rest, 'start-up', 0));
  if (!event.configured) return then(poll, settle(rest, context));
  if (event.reconnect)
    return then(poll, begin({ ...rest, at: 'idle' }, { mode: 'check', trigger: 'start', wanted: null }, context));
  if (state.at === 'watching' && event.policy.watch) return step({ ...state, ...rest });
  return then(poll, settle(rest, context));
}

/** Settings while a run is under way: another relay or feed ends it. */
function settingsInRun(state: State & { run: RunState }, event: EventOf<'settings'>, context: Context): Step {
  const rest = withSettings(state, event, context);
  const after = afterSettings(event);
  return after === null ? step({ ...state, ...rest }) : cancel({ ...state, ...rest }, after, context);
}

/** What new settings make of a run under way; null: it goes on. */
function afterSettings(event: EventOf<'settings'>): After | null {
  if (!event.feedNamed) return 'close';
  if (event.reopen) return 'reopen';
  if (!event.configured) return 'settle';
  return event.reconnect ? { mode: 'check', trigger: 'start', wanted: null } : null;
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
        return then([{ do: 'began', run }], follow(state, run, status, context));
      const early = context.now - state.since < POLL_PAUSE_MS;
      if (early) return step({ ...state, pollAt: context.now + POLL_PAUSE_MS });
      return step({ ...state, since: context.now }, { do: 'poll' });
    },
    failed: (state, event, context) => {
      const run = newRun(state, { mode: 'now', trigger: 'watch', wanted: null }, context);
      return then([{ do: 'began', run }], fail(state, run, event, context));
    },
  },
  checking: {
    ...IN_RUN,
    start: (state, event) => {
      if (state.run.mode !== 'check' || event.mode === 'check') return stay(state);
      return step({ ...state, run: { ...state.run, mode: event.mode, trigger: event.trigger, wanted: event.wanted } });
    },
    probed: (state, { status }, context) => follow(state, state.run, status, context),
  },
  'waiting-for-snapshot': {
    ...IN_RUN,
    manifest: (state, { manifest }) =>
      step({ ...shared(state), at: 'downloading-snapshot', run: state.run, manifest }, { do: 'download', manifest }),
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
  },
  'waiting-to-retry': {
    ...IN_RUN,
    start: (state, event, context) => {
      const continues = event.mode === state.run.mode && event.wanted === state.run.wanted;
      if (continues) return recheck(state, state.run);
      const failed = ended(state, state.run, 'failed', context, state.failure);
      const over = failed.effects.filter((effect) => effect.do === 'ended');
      return then(over, begin({ ...shared(failed.state), at: 'idle' }, event, context));
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
      return then(over, settingsAtRest({ ...shared(failed.state), at: 'idle' }, event, context, true));
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
