import { asTidemarkError, type TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import { setAsideIfDamaged } from '@tidemark/replica/damaged-file';
import { Replica } from '@tidemark/replica/replica';
import { databaseError } from '@tidemark/table-store/database-error';
import type { FactBook } from '../facts/fact-book.ts';
import { failureOf } from '../relay/relay-errors.ts';
import type { Log } from './agent-api.ts';

/**
 * Holds the agent's replica, and keeps damage that any module finds in it: as a fact, and as a mark in the file, because
 * another process may open it next.
 */
export class OpenReplica {
  readonly #file: string;
  readonly #book: FactBook;
  readonly #log: Log;
  #replica: Replica | null = null;

  constructor(file: string, book: FactBook, log: Log) {
    this.#file = file;
    this.#book = book;
    this.#log = log;
  }

  /** Null: it is not open. */
  get current(): Replica | null {
    return this.#replica;
  }

  /** Opens the replica of a feed. Throws `db_*`, and then holds none. */
  open(feed: string): Replica {
    try {
      const replica = Replica.open(this.#file, feed);
      this.#replica = replica;
      this.#book.openReplica(replica.summary());
      return replica;
    } catch (error) {
      const fault = this.faultOf(error);
      this.#replica?.close();
      this.#replica = null;
      throw fault;
    }
  }

  /** Renames the file if it is damaged. Returns its new name; null: it is intact. Throws `db_*`. */
  setAsideIfDamaged(): string | null {
    const file = setAsideIfDamaged(this.#file, { isKnown: this.#book.isDamaged });
    if (file !== null) this.#log('warn', 'replica.set_aside', { file });
    return file;
  }

  close(): void {
    this.#replica?.close();
    this.#replica = null;
    this.#book.closeReplica();
  }

  /** Reads the replica. Throws `db_*`. */
  read<T>(work: (replica: Replica | null) => T): T {
    try {
      return work(this.#replica);
    } catch (error) {
      throw this.faultOf(error);
    }
  }

  /** Returns an error of the replica as a coded one, and keeps damage. */
  faultOf(error: unknown): TidemarkError {
    const fault = asTidemarkError(databaseError(this.#file, error));
    this.keepDamage(failureOf(fault, false).fault);
    return fault;
  }

  /** Keeps damage. Ignores every other fault. */
  keepDamage(fault: Fault): void {
    if (fault.code !== 'db_damaged') return;
    this.#book.addDamage(fault);
    try {
      this.#replica?.markDamaged();
    } catch (error) {
      this.#log('error', 'replica.not_marked', { detail: asTidemarkError(error).message });
    }
  }
}
