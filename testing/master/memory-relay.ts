import type { BatchAnswer, SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { Ingest } from '@tidemark/relay-server/ingest/ingest';
import { openWriter, type Writer } from '@tidemark/table-store/sqlite';

/**
 * The relay's ingest on a database in memory, called directly instead of over HTTP. For tests of the feed that need a mirror
 * but no relay process.
 */
export class MemoryRelay {
  readonly #db: Writer = openWriter(':memory:', { synchronous: 'normal' });
  readonly #ingest = new Ingest(this.#db, {});
  #sessions = 0;
  /** Batches that are accepted before the next one fails. */
  batchesUntilFailure = Number.POSITIVE_INFINITY;

  async session(request: SessionRequest): Promise<SessionAnswer> {
    this.#ingest.beginSession(`${request.source.kind} ${request.source.id}`, request.base);
    const { epoch, head, position, nextTableId } = this.#ingest.feed;
    return {
      session: String(++this.#sessions),
      epoch,
      head,
      position,
      publish: null,
      tables: this.#ingest.tables().map(({ id, schema }) => ({ id, schema })),
      nextTableId,
    };
  }

  sender(session: string): (batch: Buffer) => Promise<BatchAnswer> {
    return async (batch) => {
      if (session !== String(this.#sessions)) throw new TidemarkError('session_superseded');
      if (this.batchesUntilFailure-- <= 0) throw new TidemarkError('relay_failed', { status: 500 });
      const { feed } = this.#ingest.apply(Buffer.from(batch));
      return { head: feed.head, position: feed.position };
    };
  }

  get head(): number {
    return this.#ingest.feed.head;
  }

  get epoch(): string {
    return this.#ingest.feed.epoch;
  }

  get position(): string | null {
    return this.#ingest.feed.position;
  }

  /** Names of the mirror's tables. */
  tables(): string[] {
    return this.#ingest
      .tables()
      .map(({ schema }) => schema.name)
      .sort();
  }

  /** All rows of a table of the mirror. */
  rows(table: string): unknown[][] {
    return this.#db.prepare(`SELECT * FROM "${table}" ORDER BY 1`).raw().all() as unknown[][];
  }

  close(): void {
    this.#db.close();
  }
}
