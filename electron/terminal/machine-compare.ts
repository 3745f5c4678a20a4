import type { SnapshotManifest } from '@tidemark/protocol/api.ts';
import type { Difference } from '@tidemark/protocol/status/facts.ts';
import {
  askForSnapshot,
  chain,
  compare,
  ended,
  fail,
  progressed,
  pull,
  recheck,
  shared,
  step,
} from './machine-steps.ts';
import type { Context, EventOf, RunState, Shared, StateOf, Step } from './machine-types.ts';

/** The steps of a comparison with a snapshot, and of what follows it. Pure, as machine.ts. */

/** A snapshot is there. What was asked for is compared at its position: what lies between is pulled first. */
export function approach(state: Shared, run: RunState, manifest: SnapshotManifest): Step {
  const { cursor } = state;
  const { epoch, seq } = manifest.cursor;
  if (run.compare !== 'asked') return compare(state, run, manifest);
  const there = { ...run, target: manifest.cursor };
  if (cursor?.epoch !== epoch || cursor.seq >= seq) return compare(state, there, manifest);
  return pull(state, there, { epoch, scopes: manifest.scopes, target: seq }, manifest);
}

export function compared(
  state: StateOf<'comparing'>,
  { differences, needed, copy }: EventOf<'compared'>,
  context: Context,
): Step {
  const { manifest } = state;
  const run = progressed(state.run);
  if (copy) {
    const snapshot = run.compare === 'difference' ? 'scopes_changed' : 'altered';
    return step(
      { ...shared(state), at: 'downloading-snapshot', run: { ...run, compare: null, snapshot }, manifest },
      { do: 'download', manifest },
    );
  }
  const onlyShow = run.mode === 'verify' && !state.policy.repair;
  if (onlyShow && differences.length > 0)
    return ended(state, run, 'failed', context, {
      fault: { code: 'replica_differs', params: sumOf(differences) },
      retryAfterMs: null,
      progressed: false,
    });
  if (!needed || onlyShow) return proceed(state, run, manifest, context);
  return step(
    { ...shared(state), at: 'repairing', run, manifest },
    { do: 'repair', manifest, strict: run.compare === 'altered' },
  );
}

export function repaired(state: StateOf<'repairing'>, { cursor, start }: EventOf<'repaired'>, context: Context): Step {
  return proceed({ ...shared(state), cursor, start }, progressed(state.run), state.manifest, context);
}

/** It equals the snapshot: what was asked for is done, anything else goes on to its target. */
function proceed(state: Shared, before: RunState, manifest: SnapshotManifest, context: Context): Step {
  const run: RunState = { ...before, compare: null, compared: true };
  const { cursor } = state;
  const { target } = run;
  if (before.compare === 'asked' || target === null || cursor === null) return ended(state, run, 'done', context);
  if (target.epoch !== cursor.epoch) return chain([], recheck(state, { ...run, target: null }));
  if (cursor.seq >= target.seq) return ended(state, run, 'done', context);
  return pull(state, run, { epoch: cursor.epoch, scopes: manifest.scopes, target: target.seq });
}

/** Another history, or another set of scopes, while it was compared: the relay is asked once more what to do. */
export function compareFailed(
  state: StateOf<'comparing'> | StateOf<'repairing'>,
  event: EventOf<'failed'>,
  context: Context,
): Step {
  const moved = ['epoch_changed', 'scope_denied', 'scopes_changed'].includes(event.fault.code);
  if (moved && !state.run.replanned) return recheck(state, { ...state.run, compare: null, replanned: true });
  return fail(state, state.run, event, context);
}

/** The relay's history changed while pages came: it is asked once more what to do. */
export function pullFailed(state: StateOf<'pulling'>, event: EventOf<'failed'>, context: Context): Step {
  if (event.work === 'fetch' && state.applying) return step({ ...state, fetching: null, fetchFailure: event });
  const moved =
    event.fault.code === 'epoch_changed' ||
    event.fault.code === 'behind_horizon' ||
    event.fault.code === 'page_other_epoch';
  if (moved && !state.run.replanned) return recheck(state, { ...state.run, replanned: true });
  if (event.work === 'apply') return misfit(state, event, context) ?? fail(state, state.run, event, context);
  return fail(state, state.run, event, context);
}

/** A page could not be applied because of what stands here: the run goes on by comparing and repairing, once. Null: it is another fault. */
function misfit(state: StateOf<'pulling'>, event: EventOf<'failed'>, context: Context): Step | null {
  const { code } = event.fault;
  const { run } = state;
  if (code === 'page_invalid' && !run.doubted)
    return chain([{ do: 'abort' }], pull(state, { ...run, doubted: true }, state.plan, state.against));
  if (code !== 'replica_altered' && code !== 'schema_mismatch' && code !== 'page_invalid') return null;
  if (run.compared || run.copied) return chain([{ do: 'abort' }], ended(state, run, 'failed', context, event));
  return chain([{ do: 'abort' }], askForSnapshot(state, { ...run, compare: 'altered' }, context));
}

function sumOf(differences: Difference[]): { rows: number; tables: string } {
  const rows = differences.reduce((sum, { missing, extra, different }) => sum + missing + extra + different, 0);
  return { rows, tables: differences.map(({ table }) => table).join(', ') };
}
