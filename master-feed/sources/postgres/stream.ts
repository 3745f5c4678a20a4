import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import type { SourcePosition } from '@tidemark/protocol/position';
import type pg from 'pg';
import { BaseCopyNeeded, type LogEnd, type LogReader, type LogSink } from '../../source.ts';
import { CopyQuery } from './connection.ts';
import { formatLsn, fromPosition, type Lsn, toPosition } from './lsn.ts';
import { streamError } from './master-error.ts';
import { decode } from './pgoutput.ts';
import type { RowDecoder } from './row-decoder.ts';
import { literal } from './sql.ts';

const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
const STATUS = 0x72;
/** Offset of the payload in XLogData, after a header of 1 + 3 × 8 bytes. */
const DATA_AT = 25;
/** Microseconds from 1970 to 2000, the epoch of Postgres timestamps. */
const EPOCH_US = 946_684_800_000_000n;

const PUBLICATION_MISSING = 'the publication was dropped for a while';

/**
 * Reads the replication stream of a slot.
 *
 * It confirms only positions that the caller passes to `confirm`. It must never confirm a position on receipt: the data
 * is not durable yet, and Postgres cannot move a slot back. It pauses the connection while the sink is full.
 */
export class Stream extends CopyQuery implements LogReader {
  readonly failed: Promise<never>;
  readonly #fail: (error: unknown) => void;
  readonly #publication: string;
  readonly #decoder: RowDecoder;
  readonly #sink: LogSink;
  #stopped = false;
  #paused = false;
  /** The sink has received everything before this LSN. */
  #received: Lsn;
  /** Everything before this LSN is on the relay's disk. */
  #confirmed: Lsn;
  /** The requested heartbeat; null if none is pending. */
  #asked: LogEnd | null = null;

  constructor(slot: string, publication: string, from: SourcePosition, decoder: RowDecoder, sink: LogSink) {
    const start = fromPosition(from) + 1n;
    super(
      `START_REPLICATION SLOT ${slot} LOGICAL ${formatLsn(start)} (proto_version '1', publication_names ${literal(publication)})`,
    );
    this.#publication = publication;
    this.#decoder = decoder;
    this.#sink = sink;
    this.#received = start;
    this.#confirmed = start;
    const { promise, reject } = Promise.withResolvers<never>();
    // The caller awaits this promise later. The handler prevents an unhandled rejection until then.
    promise.catch(() => undefined);
    this.failed = promise;
    this.#fail = reject;
  }

  start(client: pg.Client): void {
    // If the publication is missing, Postgres 18 only sends this notice and continues without its changes.
    client.on('notice', (notice) => {
      if (this.#isMissing(notice, '55000')) this.#failWith(new BaseCopyNeeded(PUBLICATION_MISSING));
    });
    client.query(this as unknown as pg.Submittable);
  }

  ask(end: LogEnd): void {
    this.#asked = end;
    this.#sendStatus(true);
  }

  confirm(position: SourcePosition): void {
    this.#confirmed = fromPosition(position) + 1n;
    this.#sendStatus(false);
  }

  stop(): void {
    this.#stopped = true;
  }

  override handleCopyData({ chunk }: { chunk: Buffer }): void {
    if (this.#stopped) return;
    try {
      if (chunk[0] === XLOG_DATA) this.#data(chunk);
      else if (chunk[0] === KEEPALIVE) this.#keepalive(chunk);
    } catch (error) {
      this.#failWith(error);
    }
  }

  override handleError(error: Error): void {
    if (this.#isMissing(error, '42704')) {
      this.#failWith(new BaseCopyNeeded(PUBLICATION_MISSING));
      return;
    }
    // The slot has the name of the publication. The master has invalidated it, so its log is gone.
    if (this.#isMissing(error, '55000')) {
      this.#failWith(new BaseCopyNeeded('the master dropped the log that the slot needs'));
      return;
    }
    const { code } = error as { code?: string };
    // 55006: another process uses the slot.
    this.#failWith(
      code === '55006' ? new TidemarkError('slot_in_use', { slot: error.message }, error) : streamError(error),
    );
  }

  override handleReadyForQuery(): void {
    this.#failWith(new TidemarkError('source_lost', { detail: 'the master ended the stream' }));
  }

  #data(chunk: Buffer): void {
    const message = decode(chunk, DATA_AT);
    this.#decoder.handle(message);
    if (message.kind === 'commit') {
      this.#received = message.endLsn;
      this.#reached();
    }
    if (this.#sink.full && !this.#paused) this.#pause();
  }

  #keepalive(chunk: Buffer): void {
    const sent = chunk.readBigUInt64BE(1);
    if (!this.#decoder.open) {
      if (sent > this.#received) this.#received = sent;
      this.#reached();
      this.#beat();
    }
    if (chunk[17] === 1) this.#sendStatus(false);
  }

  #reached(): void {
    if (this.#sink.reached) this.#sink.reached(toPosition(this.#received - 1n));
  }

  #beat(): void {
    if (this.#asked === null) return;
    const { position, at } = this.#asked;
    this.#asked = null;
    this.#sink.heartbeat(toPosition(this.#received - 1n), at, this.#received > fromPosition(position));
  }

  /**
   * Sends the confirmed position. With `reply`, the master answers with a keepalive that contains the last position it
   * has sent.
   */
  #sendStatus(reply: boolean): void {
    if (this.#stopped || this.connection === null) return;
    const message = Buffer.alloc(34);
    message[0] = STATUS;
    for (const at of [1, 9, 17]) message.writeBigUInt64BE(this.#confirmed, at);
    message.writeBigInt64BE(BigInt(Date.now()) * 1000n - EPOCH_US, 25);
    message[33] = reply ? 1 : 0;
    this.connection.sendCopyFromChunk(message);
  }

  /**
   * Reports whether a message is about the missing publication. It checks the code and the quoted name, because the
   * rest of the text depends on the server's language.
   */
  #isMissing(
    { code, message }: { code?: string | undefined; message?: string | undefined },
    expected: string,
  ): boolean {
    return code === expected && message?.includes(`"${this.#publication}"`) === true;
  }

  #pause(): void {
    this.#paused = true;
    this.connection?.stream.pause();
    this.#sink.room().then(
      () => {
        this.#paused = false;
        this.connection?.stream.resume();
      },
      (error: unknown) => this.#failWith(error),
    );
  }

  #failWith(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#fail(asTidemarkError(error));
  }
}
