import type { Lsn } from './lsn.ts';
import type { Message } from './pgoutput.ts';
import type { Numbered } from './resync-plan.ts';
import type { RowWriter } from './row-writer.ts';
import type { StreamTaker } from './stream.ts';

/**
 * Writes what the stream says of transactions up to a position as changes of one transaction, which its owner begins
 * and ends. Tables that are read anew there are left out: those that are not known, and those that were altered meanwhile.
 */
export class MergeWriter implements StreamTaker {
  readonly #rows: RowWriter;
  readonly #until: Lsn;
  readonly #end: () => void;
  /** Tables that were known and looked otherwise for a while. */
  readonly altered: Numbered[] = [];
  #inside = false;

  /** `end` is called once, when all that was committed before `until` has been written. */
  constructor(rows: RowWriter, until: Lsn, end: () => void) {
    this.#rows = rows;
    this.#until = until;
    this.#end = end;
  }

  get open(): boolean {
    return this.#inside;
  }

  /** Nothing can be said while a transaction is open, and to the relay one is. */
  heartbeat(): void {}

  reached(lsn: Lsn): void {
    if (lsn >= this.#until) this.#end();
  }

  take(message: Message): void {
    switch (message.kind) {
      case 'begin':
        if (message.commitLsn >= this.#until) this.#end();
        else this.#inside = true;
        return;
      case 'commit':
        this.#inside = false;
        return;
      case 'relation':
        for (const oid of this.#rows.unlike(message.relation)) this.#alter(oid);
        return;
      case 'insert':
      case 'update':
      case 'delete':
        if (this.#rows.find(message.oid) && !this.#rows.row(message)) this.#alter(message.oid);
        return;
      case 'truncate':
        for (const oid of message.oids) if (this.#rows.find(oid)) this.#rows.truncate(oid);
        return;
      case 'other':
        return;
    }
  }

  #alter(oid: number): void {
    const known = this.#rows.find(oid);
    if (known === null) return;
    this.altered.push(known);
    this.#rows.forget(oid);
  }
}
