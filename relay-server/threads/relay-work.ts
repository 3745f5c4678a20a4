import { Digester } from '../digests/digester.ts';
import { PageQueue } from '../pages/queue/page-queue.ts';
import { ReadyPages } from '../pages/ready-pages.ts';
import { FairQueue, type QueueState } from './fair-queue.ts';

/** Maximum size of the cached pages, in bytes. */
const PAGE_CACHE_BYTES = 64 * 1024 * 1024;

/** The queues of one relay's work, which all of its feeds share. */
export class RelayWork {
  readonly snapshots = new FairQueue();
  readonly compactions = new FairQueue();
  readonly digester = new Digester();
  readonly pages = new PageQueue(new ReadyPages(PAGE_CACHE_BYTES));

  /** The queues by name, for metrics. */
  get queues(): [string, { state: QueueState }][] {
    return [
      ['snapshots', this.snapshots],
      ['compactions', this.compactions],
      ['digests', this.digester.queue],
      ['pages', this.pages],
    ];
  }
}
