import type { BatchAnswer, SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { SetAside } from '@tidemark/protocol/trouble';
import { Ingest } from '@tidemark/relay-server/ingest/ingest';
import { openWriter, type Writer } from '@tidemark/table-store/sqlite';

/**
 * The relay's ingest on a database in memory, called directly instead of over HTTP. It is for tests of the feed that
 * need a mirror but no relay process.
 */
export class MemoryRelay {
  readonly #db: Writer = openWriter(':memory:', { synchronous: 'normal' });
  #ingest = new Ingest(this.#db, {});
  #sessions = 0;
  /** The number of batches to accept before one fails. */
  batchesUntilFailure = Number.POSITIVE_INFINITY;

  async session(request: SessionRequest): Promise<SessionAnswer> {
    this.#ingest.beginSession(`${request.source.kind} ${request.source.id}`, request.base);
    const { epoch, head, position, committedAt, nextTableId } = this.#ingest.feed;
    return {
      session: String(++this.#sessions),
      epoch,
      head,
      position,
      ...(committedAt === null ? {} : { committedAt }),
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

  /** Rewrites the store to the format from before schemas had logical types, and reopens it. */
  forgetLogicalTypes(): void {
    for (const table of ['tidemark_schema', 'tidemark_table']) {
      const rows = this.#db.prepare(`SELECT id, schema FROM ${table}`).all() as { id: number; schema: string }[];
      const update = this.#db.prepare(`UPDATE ${table} SET schema = ? WHERE id = ?`);
      for (const { id, schema } of rows)
        update.run(
          JSON.stringify(JSON.parse(schema), (key, value: unknown) => (key === 'logical' ? undefined : value)),
          id,
        );
    }
    this.#ingest = new Ingest(this.#db, {});
  }

  /** Returns the names of the tables whose schemas do not have logical types. */
  withoutLogicalTypes(): string[] {
    return this.#ingest
      .tables()
      .flatMap(({ schema }) => (schema.columns.some(({ logical }) => logical) ? [] : [schema.name]));
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

  /** Returns the names of the mirror's tables. */
  tables(): string[] {
    return this.#ingest
      .tables()
      .map(({ schema }) => schema.name)
      .sort();
  }

  /** Returns the mark of each table that is set aside, by name. */
  marks(): Record<string, SetAside> {
    return Object.fromEntries(
      this.#ingest.tables().flatMap(({ schema }) => (schema.setAside ? [[schema.name, schema.setAside]] : [])),
    );
  }

  /** Returns all rows of a table of the mirror. */
  rows(table: string): unknown[][] {
    return this.#db.prepare(`SELECT * FROM "${table}" ORDER BY 1`).raw().all() as unknown[][];
  }

  close(): void {
    this.#db.close();
  }
}
