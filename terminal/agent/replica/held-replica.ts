import { asTidemarkError, type TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import { setAsideIfDamaged } from '@tidemark/replica/damaged-file';
import { Replica } from '@tidemark/replica/replica';
import { databaseError } from '@tidemark/table-store/database-error';
import type { FactBook } from '../../facts/fact-book.ts';
import type { FactPublisher } from '../../facts/fact-publisher.ts';
import { failureOf } from '../../relay/relay-errors.ts';
import type { Log } from '../agent-api.ts';

/**
 * Holds the agent's replica while it is open: opens and closes it, reads it for callers, and keeps damage. Damage that
 * any part of the agent finds becomes a fact and a mark in the file, which other processes can then not mistake for an
 * intact one (T6).
 */

interface HeldReplicaDeps {
  /** Path of the file, links followed. */
  file: string;
  book: FactBook;
  publisher: Pick<FactPublisher, 'publishSoon'>;
  log: Log;
  /** Called with the new name of a damaged file that was renamed. */
  onSetAside: ((file: string) => void) | undefined;
}

export class HeldReplica {
  readonly #deps: HeldReplicaDeps;
  #replica: Replica | null = null;

  constructor(deps: HeldReplicaDeps) {
    this.#deps = deps;
  }

  /** The open replica. Null: none is open. */
  get current(): Replica | null {
    return this.#replica;
  }

  /**
   * Opens or creates the replica of a feed. `checked`: first renames a damaged file. After an error of the
   * database, the caller calls {@link closeFor}.
   */
  open(feed: string, checked: boolean): Replica {
    if (checked) this.#setAsideIfDamaged();
    this.#replica = Replica.open(this.#deps.file, feed);
    this.#deps.book.openReplica(this.#replica.summary());
    return this.#replica;
  }

  /** Closes the replica because of an error of the database. Returns it as a coded one. */
  closeFor(error: unknown): TidemarkError {
    const fault = this.faultOf(error);
    this.close();
    this.#deps.log('error', 'replica.unusable', { code: fault.code, detail: fault.message });
    return fault;
  }

  close(): void {
    this.#replica?.close();
    this.#replica = null;
  }

  /** Reads the replica for a caller. Throws `db_*`. */
  read<T>(work: (replica: Replica | null) => T): T {
    try {
      return work(this.#replica);
    } catch (error) {
      const fault = this.faultOf(error);
      this.#deps.publisher.publishSoon();
      throw fault;
    }
  }

  /** Returns an error of the replica as a coded one, and keeps damage. */
  faultOf(error: unknown): TidemarkError {
    const fault = asTidemarkError(databaseError(this.#deps.file, error));
    this.keepDamage(failureOf(fault, false).fault);
    return fault;
  }

  /** Keeps damage as a fact, and marks the file, which may be opened again by another process. */
  keepDamage(fault: Fault): void {
    if (fault.code !== 'db_damaged') return;
    this.#deps.book.addDamage(fault);
    try {
      this.#replica?.markDamaged();
    } catch (error) {
      this.#deps.log('error', 'replica.not_marked', { detail: asTidemarkError(error).message });
    }
  }

  #setAsideIfDamaged(): void {
    const { file, book, log, onSetAside } = this.#deps;
    const renamed = setAsideIfDamaged(file, { isKnown: book.isDamaged });
    if (renamed === null) return;
    log('warn', 'replica.set_aside', { file: renamed });
    onSetAside?.(renamed);
  }
}
