import { TidemarkError } from '@tidemark/protocol/errors';
import type { LineWriter } from '../line-writer.ts';
import { toPosition } from './lsn.ts';
import type { Message } from './pgoutput.ts';
import type { Numbered } from './resync-plan.ts';
import { RowWriter } from './row-writer.ts';
import type { StreamTaker } from './stream.ts';

/** Tables of the master, by OID, no longer look as they did when the session began: they are to be read anew. */
export class SchemaChanged extends Error {
  override readonly name = 'SchemaChanged';
  readonly oids: number[];

  constructor(oids: number[], message: string) {
    super(message);
    this.oids = oids;
  }
}

/** Writes the messages of the replication stream as lines. A transaction without published changes leaves no line. */
export class TransactionWriter implements StreamTaker {
  readonly #lines: LineWriter;
  readonly #rows: RowWriter;
  #begun: { position: string; committedAt: string } | null = null;
  #written = false;

  /** `tables`: the published tables with the ids under which the relay knows them. */
  constructor(lines: LineWriter, tables: readonly Numbered[]) {
    this.#lines = lines;
    this.#rows = new RowWriter(lines, tables);
  }

  get open(): boolean {
    return this.#begun !== null;
  }

  reached(): void {}

  heartbeat(position: string, masterTime: string, current: boolean): void {
    this.#lines.heartbeat(position, masterTime, current);
  }

  take(message: Message): void {
    switch (message.kind) {
      case 'begin':
        this.#begun = { position: toPosition(message.commitLsn), committedAt: message.committedAt };
        this.#written = false;
        return;
      case 'commit':
        if (this.#written) this.#lines.commit();
        this.#begun = null;
        return;
      case 'relation': {
        const { namespace, name } = message.relation;
        const unlike = this.#rows.unlike(message.relation);
        if (unlike.length > 0) throw new SchemaChanged(unlike, `${namespace}.${name} is new or was altered`);
        return;
      }
      case 'insert':
      case 'update':
      case 'delete':
        this.#begin();
        if (!this.#rows.row(message))
          throw new SchemaChanged(
            [message.oid],
            `the log does not hold the key of an old row of the table ${message.oid}`,
          );
        return;
      case 'truncate':
        this.#begin();
        for (const oid of message.oids) this.#rows.truncate(oid);
        return;
      case 'other':
        return;
    }
  }

  /** A transaction is begun with its first change. */
  #begin(): void {
    if (this.#written) return;
    if (!this.#begun) throw new TidemarkError('source_unsupported', { detail: 'a change outside of a transaction' });
    this.#lines.begin(this.#begun.position, this.#begun.committedAt);
    this.#written = true;
  }
}
