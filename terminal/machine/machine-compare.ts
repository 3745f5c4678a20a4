import type { SnapshotManifest } from '@tidemark/protocol/api';
import type { Difference } from '@tidemark/protocol/run';
import { compare, ended, fail, progressed, pull, recheck, shared, step } from './machine-steps.ts';
import type { Context, EventOf, RunState, Shared, StateOf, Step } from './machine-types.ts';

/** The steps of a comparison with a snapshot, and of what follows it. Pure, as machine.ts. */

/** A snapshot is there. What was asked for is compared at its position: what lies between is pulled first. */
export function approach(state: Shared, run: RunState, manifest: SnapshotManifest): Step {
  const { cursor } = state;
  const { epoch, seq } = manifest.cursor;
  if (run.compare !== 'asked') return compare(state, run, manifest);
  const there = { ...run, target: manifest.cursor };
  if (cursor?.epoch !== epoch || cursor.seq >= seq) return compare(state, there, manifest);
  return pull(state, there, { epoch, scopes: manifest.scopes, target: seq, squashed: false }, manifest);
}

export function compared(
  state: StateOf<'comparing'>,
  { differences, needed, copy: copied }: EventOf<'compared'>,
  context: Context,
): Step {
  const { manifest } = state;
  const run = progressed(state.run);
  if (copied) return copy(state, run, manifest);
  const onlyShow = run.mode === 'verify' && !state.policy.repair;
  if (onlyShow && differences.length > 0)
    return ended(state, run, 'failed', context, {
      fault: { code: 'replica_differs', params: sumOf(differences) },
      retryAfterMs: null,
      progressed: false,
    });
  if (onlyShow) return ended(state, run, 'done', context);
  if (!needed) return proceed(state, run, manifest, context);
  return step(
    { ...shared(state), at: 'repairing', run, manifest },
    { do: 'repair', manifest, strict: run.compare === 'altered' },
  );
}

function copy(state: Shared, run: RunState, manifest: SnapshotManifest): Step {
  const snapshot = run.compare === 'difference' ? 'scopes_changed' : 'altered';
  return step(
    { ...shared(state), at: 'downloading-snapshot', run: { ...run, compare: null, snapshot }, manifest },
    { do: 'download', manifest },
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
  if (target.epoch !== cursor.epoch) return recheck(state, { ...run, target: null });
  if (cursor.seq >= target.seq) return ended(state, run, 'done', context);
  return pull(state, run, { epoch: cursor.epoch, scopes: manifest.scopes, target: target.seq, squashed: false });
}

/** Another history, or another set of scopes, while it was compared: the relay is asked once more what to do. */
export function compareFailed(
  state: StateOf<'comparing'> | StateOf<'repairing'>,
  event: EventOf<'failed'>,
  context: Context,
): Step {
  const moved = ['epoch_changed', 'scope_denied', 'scopes_changed'].includes(event.fault.code);
  if (moved && !state.run.replanned) return recheck(state, { ...state.run, compare: null, replanned: true });
  // The file does not take the rows: it takes the copy, whose tables are made anew.
  if (event.work === 'repair' && event.fault.code === 'replica_altered') return copy(state, state.run, state.manifest);
  return fail(state, state.run, event, context);
}

function sumOf(differences: Difference[]): { rows: number; tables: string } {
  const rows = differences.reduce((sum, { missing, extra, different }) => sum + missing + extra + different, 0);
  return { rows, tables: differences.map(({ table }) => table).join(', ') };
}
