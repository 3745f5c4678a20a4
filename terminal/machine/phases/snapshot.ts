import { askAgainMs, LONGEST_ASK_MS } from '@tidemark/protocol/retry-wait';
import { type Context, type Handlers, ignore, type Step, step } from '../effect.ts';
import type { EventOf } from '../event.ts';
import { isDue } from '../retry-wait.ts';
import { type PreparingRun, type RunState, withProgress } from '../run-state.ts';
import { type StateOf, shared } from '../state.ts';
import { endRun, failAttempt } from './attempt.ts';
import { approach } from './comparison.ts';
import { DURING_RUN } from './during-run.ts';
import { pauseTick } from './settings-and-pause.ts';
import { check, download, pull } from './transitions.ts';

/**
 * A run obtains a snapshot, to install it or to compare the replica with it. Order: manifest, download, installation,
 * then pages.
 */

/** How long the relay may prepare a snapshot, ms. After that, a run that may give up does so. */
const PREPARING_MS = 10 * 60_000;

export const waitingForSnapshot: Handlers<'waiting-for-snapshot'> = {
  ...DURING_RUN,
  manifest: useManifest,
  failed: waitWhileBuilding,
  tick: (state, _, context) =>
    isDue(state.askAt, context.now, LONGEST_ASK_MS)
      ? step({ ...state, askAt: null }, { do: 'manifest' })
      : pauseTick(state, context),
};

export const downloadingSnapshot: Handlers<'downloading-snapshot'> = {
  ...DURING_RUN,
  downloaded: (state) => step({ ...state, at: 'installing-snapshot' }, { do: 'install', manifest: state.manifest }),
};

export const installingSnapshot: Handlers<'installing-snapshot'> = {
  ...DURING_RUN,
  // An installation uses no connection, so a wake does not disturb it.
  woke: ignore,
  installed: pullAfterSnapshot,
};

function useManifest(state: StateOf<'waiting-for-snapshot'>, { manifest }: EventOf<'manifest'>): Step {
  const { run } = state;
  return comparesNext(run) ? approach(state, run, manifest) : download(state, run, manifest);
}

function waitWhileBuilding(state: StateOf<'waiting-for-snapshot'>, event: EventOf<'failed'>, context: Context): Step {
  if (event.fault.code !== 'snapshot_building') return failAttempt(state, state.run, event, context);
  const tooLong = state.policy.giveUpAfterMs !== null && context.now - state.since > PREPARING_MS;
  if (tooLong) return endRun(state, state.run, 'failed', context, event);
  const wait = askAgainMs(context.now - state.since, event.retryAfterMs, context.random());
  return step({ ...state, askAt: context.now + wait });
}

function pullAfterSnapshot(
  state: StateOf<'installing-snapshot'>,
  { cursor, start }: EventOf<'installed'>,
  context: Context,
): Step {
  const { preparation, ...before } = withProgress(state.run);
  const run: RunState = { ...before, preparation: null, basis: preparation };
  const installed = { ...shared(state), cursor, start };
  const { target } = run;
  if (target === null) return endRun(installed, run, 'done', context);
  if (target.epoch !== cursor.epoch) return check(installed, { ...run, target: null });
  if (cursor.seq >= target.seq) return endRun(installed, run, 'done', context);
  const { scopes } = state.manifest;
  return pull(installed, run, { epoch: cursor.epoch, scopes, target: target.seq, kind: 'ordinary' });
}

function comparesNext(run: StateOf<'waiting-for-snapshot'>['run']): run is PreparingRun<'comparison'> {
  return run.preparation.by === 'comparison';
}
