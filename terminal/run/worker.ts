import type { RelayStatus } from '@tidemark/protocol/api';
import { asTidemarkError, type ErrorCode, TidemarkError } from '@tidemark/protocol/errors';
import { requireIntactPages } from '@tidemark/replica/damaged-file';
import { databaseError } from '@tidemark/table-store/database-error';
import type { Event } from '../machine/event.ts';
import { failureOf } from '../relay/relay-errors.ts';
import { ComparisonWork } from './comparison-work.ts';
import { applyPage, dropKeptParts, fetchPage } from './page-work.ts';
import { publishBeforeBlocking, type ReadySite, type Site, type WorkDeps, type WorkEffect } from './site.ts';
import { downloadSnapshot, installSnapshot, requestManifest } from './snapshot-work.ts';

/** How long a long poll lasts, s. */
const POLL_S = 30;

/**
 * Faults after which the terminal has discarded the download, so that it does not count as progress. Otherwise a copy
 * that is always damaged would be retried without end.
 */
const DISCARDING = new Set<ErrorCode>(['snapshot_corrupt', 'disk_full']);

/**
 * Does the work that the machine requests, over the network and on the replica. Each piece of work results in one
 * event, for success or failure. The worker decides nothing, and must stop at the next safe point when the site's
 * signal aborts.
 */
export class Worker {
  readonly #deps: WorkDeps;
  readonly #comparison: ComparisonWork;

  constructor(deps: WorkDeps) {
    this.#deps = deps;
    this.#comparison = new ComparisonWork(deps);
  }

  /**
   * Does one piece of work and returns its event. Never rejects. Once the site's signal has aborted, the event has no
   * meaning.
   */
  async do(effect: WorkEffect, site: Site): Promise<Event> {
    let progressed = false;
    try {
      const { relay, replica } = site;
      if (!relay || !replica) throw new TidemarkError('not_configured');
      return await this.#do(effect, { ...site, relay, replica }, () => {
        progressed = true;
      });
    } catch (error) {
      // Many modules read the replica. This is where the damage that any of them finds becomes a coded error.
      const fault = asTidemarkError(site.replica ? databaseError(site.replica.file, error) : error);
      if (fault.code === 'internal' && !site.signal.aborted)
        this.#deps.log('error', 'work.fault', { work: effect.do, detail: fault.message });
      const gained = progressed && !DISCARDING.has(fault.code);
      const failure = failureOf(fault, gained);
      this.#deps.onFault(failure.fault);
      return { type: 'failed', work: effect.do, ...failure };
    }
  }

  /** Drops the result of a comparison. */
  discardRepair(): void {
    this.#comparison.discard();
  }

  async #do(effect: WorkEffect, site: ReadySite, onGain: () => void): Promise<Event> {
    switch (effect.do) {
      case 'probe':
        if (isVerify(site)) {
          // A comparison would report damaged rows as differences.
          await publishBeforeBlocking(this.#deps, site.signal);
          requireIntactPages(site.replica.file);
        }
        return {
          type: 'probed',
          status: await this.#askStatus(0, site),
          altered: site.replica.alteredTables().length > 0,
        };
      case 'poll': {
        // The first poll must be answered at once, so that the terminal can show its state.
        const waitS = site.state.cursor === null || this.#deps.book.probe === null ? 0 : POLL_S;
        const askedMs = performance.now();
        const status = await this.#askStatus(waitS, site);
        return { type: 'polled', status, heldMs: performance.now() - askedMs };
      }
      case 'fetch':
        return fetchPage(effect, site);
      case 'apply':
        return applyPage(effect, site, this.#deps);
      case 'discard':
        return dropKeptParts(site);
      case 'manifest':
        return requestManifest(site, this.#deps);
      case 'download':
        return downloadSnapshot(effect, site, this.#deps, onGain);
      case 'install':
        return installSnapshot(effect, site, this.#deps);
      case 'compare':
        return this.#comparison.compare(effect, site);
      case 'repair':
        return this.#comparison.repair(effect, site);
    }
  }

  async #askStatus(waitS: number, { state: { cursor }, relay, replica, signal }: ReadySite): Promise<RelayStatus> {
    const asked = Date.now();
    const { scopes } = replica.cursorState();
    const status = await relay.status({ cursor, scopes }, waitS, signal);
    const heard = Date.now();
    this.#deps.book.addStatus(status, cursor, asked, heard, waitS > 0);
    this.#deps.onStatus(heard);
    return status;
  }
}

const isVerify = ({ state }: Site): boolean => state.at === 'checking' && state.run.request.mode === 'verify';
