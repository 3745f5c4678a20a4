import { Digester } from '../digests/digester.ts';
import { FairQueue } from './fair-queue.ts';

/** The queues of one relay's work, which all of its feeds share. */
export class RelayWork {
  readonly snapshots = new FairQueue();
  readonly compactions = new FairQueue();
  readonly digester = new Digester();

  /** The queues by name, for metrics. */
  get queues(): [string, Pick<FairQueue, 'state'>][] {
    return [
      ['snapshots', this.snapshots],
      ['compactions', this.compactions],
      ['digests', this.digester.queue],
    ];
  }
}
