import { type Cursor, seq } from '@tidemark/protocol/cursor';
import type { EventOf } from '../machine/event.ts';
import type { State } from '../machine/state.ts';
import {
  type EffectOf,
  logDropped,
  publishBeforeBlocking,
  type ReadySite,
  startOf,
  throwIfAborted,
  transferTo,
  type WorkDeps,
} from './site.ts';

/** Downloads a snapshot and installs it in the replica. */

export async function requestManifest(
  { state, relay, record, signal }: ReadySite,
  deps: WorkDeps,
): Promise<EventOf<'manifest'>> {
  record?.startPreparing(Date.now());
  return { type: 'manifest', manifest: await relay.manifest(oldestUseful(state, deps), signal) };
}

/** `onGain`: called when new bytes have arrived. */
export async function downloadSnapshot(
  { manifest }: EffectOf<'download'>,
  { relay, record, signal }: ReadySite,
  { download, publisher }: WorkDeps,
  onGain: () => void,
): Promise<EventOf<'downloaded'>> {
  const { here, total } = download.progress(manifest);
  const show = (bytes: number) => {
    if (bytes > here) onGain();
    record?.setDownloaded(manifest, bytes, total, Date.now());
    publisher.publishSoon();
  };
  show(here);
  await download.fetch(relay, manifest, signal, { ...transferTo(record), stored: show });
  return { type: 'downloaded' };
}

export async function installSnapshot(
  { manifest }: EffectOf<'install'>,
  { replica, record, signal }: ReadySite,
  deps: WorkDeps,
): Promise<EventOf<'installed'>> {
  record?.startFinishing();
  await publishBeforeBlocking(deps, signal);
  const { feed, cursor } = manifest;
  const snapshot = await deps.download.check({ feed, cursor });
  throwIfAborted(signal);
  logDropped(deps, replica.installSnapshot(snapshot).dropped);
  record?.addSnapshot(manifest);
  deps.book.replaceData(replica.summary());
  return { type: 'installed', cursor, start: startOf(replica) };
}

/**
 * Returns the oldest acceptable seq of a snapshot: at least the replica's, and past it when the snapshot replaces
 * changes. Null: any.
 */
function oldestUseful(state: State, { book }: WorkDeps): Cursor | null {
  const { cursor } = state;
  const head = book.probe?.status.head;
  if (!head || cursor === null || head.epoch !== cursor.epoch) return null;
  const replacesChanges = 'run' in state && state.run.preparation?.reason === 'cheaper';
  return { epoch: cursor.epoch, seq: seq(Math.min(head.seq, replacesChanges ? cursor.seq + 1 : cursor.seq)) };
}
