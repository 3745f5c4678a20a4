import { TidemarkError } from '@tidemark/protocol/errors';
import type { Repair } from '@tidemark/replica/repair';
import { compare } from '../comparison/comparer.ts';
import type { EventOf } from '../machine/event.ts';
import { type EffectOf, logDropped, publishBeforeBlocking, type ReadySite, transferTo, type WorkDeps } from './site.ts';

/**
 * Compares the replica with a snapshot, and keeps the differences until the machine orders the repair that writes them.
 */
export class ComparisonWork {
  readonly #deps: WorkDeps;
  #found: Repair | null = null;

  constructor(deps: WorkDeps) {
    this.#deps = deps;
  }

  /** Drops the result of a comparison. */
  discard(): void {
    this.#found?.discard();
    this.#found = null;
  }

  async compare(
    { manifest, mayCopy }: EffectOf<'compare'>,
    { relay, replica, record, signal }: ReadySite,
  ): Promise<EventOf<'compared'>> {
    const { download, publisher } = this.#deps;
    this.discard();
    record?.startComparison(manifest, Date.now());
    publisher.publishSoon();
    const repair = replica.startComparison(manifest);
    try {
      const outcome = await compare(repair, {
        relay,
        snapshot: manifest,
        copyBytes: download.progress(manifest).total,
        mayCopy,
        signal,
        transfer: transferTo(record),
        onCompared: (table, rows) => {
          record?.addCompared(table, rows, Date.now());
          publisher.publishSoon();
        },
      });
      const { differences, needed } = repair;
      if (outcome === 'copy') {
        repair.discard();
        return { type: 'compared', differences, verdict: 'copy' };
      }
      record?.setDifferences(differences);
      if (needed && !signal.aborted) this.#found = repair;
      else repair.discard();
      return { type: 'compared', differences, verdict: needed ? 'repair' : 'equal' };
    } catch (error) {
      repair.discard();
      throw error;
    }
  }

  async repair(
    { manifest, strict }: EffectOf<'repair'>,
    { replica, record, signal }: ReadySite,
  ): Promise<EventOf<'repaired'>> {
    const found = this.#found;
    if (!found) throw new TidemarkError('snapshot_gone');
    record?.startRepair(found.differences);
    await publishBeforeBlocking(this.#deps, signal);
    this.#found = null;
    const { tables, dropped } = replica.applyRepair(found, strict);
    logDropped(this.#deps, dropped);
    record?.addRepaired(tables);
    this.#deps.book.replaceData(replica.summary());
    return { type: 'repaired', cursor: manifest.cursor, start: replica.cursorState().start };
  }
}
