import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import type { Outbox } from '../outbox.ts';
import { CopyQuery, literal } from './connection.ts';
import type { LogEnd } from './log-end.ts';
import { formatLsn, fromPosition, type Lsn, toPosition } from './lsn.ts';
import { decode, type Message } from './pgoutput.ts';

const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
const STATUS = 0x72;
/** The first message byte of XLogData stands behind its header of 1 + 3 × 8 bytes. */
const DATA_AT = 25;
/** Microseconds from 1970 to 2000, where Postgres' clock begins. */
const EPOCH_US = 946_684_800_000_000n;

/** In a part of the master's log there is no such publication: what was changed then is not told. */
export class PublicationMissing extends Error {
  override readonly name = 'PublicationMissing';
}

/** What becomes of the stream's messages. */
export interface StreamTaker {
  /** Whether a transaction has begun and not ended. */
  readonly open: boolean;
  take(message: Message): void;
  /** All that was committed before `lsn` has been taken, and no transaction is open. */
  reached(lsn: Lsn): void;
  heartbeat(position: string, masterTime: string, current: boolean): void;
}

/**
 * The replication stream. What is confirmed to the master is only ever what the relay has on its disk:
 * received is not durable, and a slot that ran ahead cannot be set back.
 */
export class Stream extends CopyQuery {
  readonly #publication: string;
  readonly #outbox: Outbox;
  readonly #writer: StreamTaker;
  readonly #fail: (error: unknown) => void;
  #ended = false;
  #paused = false;
  /** All before this was received and written to the outbox. */
  #received: Lsn;
  /** A heartbeat that waits for the stream to reach its end. */
  #asked: LogEnd | null = null;

  constructor(
    slot: string,
    publication: string,
    from: Lsn,
    writer: StreamTaker,
    outbox: Outbox,
    fail: (error: unknown) => void,
  ) {
    super(
      `START_REPLICATION SLOT ${slot} LOGICAL ${formatLsn(from)} (proto_version '1', publication_names ${literal(publication)})`,
    );
    this.#publication = publication;
    this.#outbox = outbox;
    this.#writer = writer;
    this.#received = from;
    this.#fail = fail;
    outbox.onDurable = () => this.confirm(false);
    outbox.onFault = (error) => this.#stop(error);
  }

  start(client: pg.Client): void {
    // Postgres 18 goes on without the publication and its changes, and says so.
    client.on('notice', (notice) => {
      if (this.#isMissing(notice, '55000')) this.#stop(new PublicationMissing(notice.message));
    });
    client.query(this as unknown as pg.Submittable);
  }

  /** Asks the master how far it has sent, to be able to say that this was the end of its log. */
  ask(end: LogEnd): void {
    this.#asked = end;
    this.confirm(true);
  }

  /** Tells the master what is durable, and asks for an answer. */
  confirm(reply: boolean): void {
    if (this.#ended || this.connection === null) return;
    const { durable } = this.#outbox;
    if (durable === null) return;
    const lsn = fromPosition(durable) + 1n;
    const message = Buffer.alloc(34);
    message[0] = STATUS;
    for (const at of [1, 9, 17]) message.writeBigUInt64BE(lsn, at);
    message.writeBigInt64BE(BigInt(Date.now()) * 1000n - EPOCH_US, 25);
    message[33] = reply ? 1 : 0;
    this.connection.sendCopyFromChunk(message);
  }

  override handleCopyData({ chunk }: { chunk: Buffer }): void {
    if (this.#ended) return;
    try {
      if (chunk[0] === XLOG_DATA) this.#data(chunk);
      else if (chunk[0] === KEEPALIVE) this.#keepalive(chunk);
    } catch (error) {
      this.#stop(error);
    }
  }

  override handleError(error: Error): void {
    if (this.#isMissing(error, '42704')) {
      this.#stop(new PublicationMissing(error.message));
      return;
    }
    const { code } = error as { code?: string };
    // 55006: the slot is active for another process.
    this.#stop(
      code === '55006'
        ? new TidemarkError('slot_in_use', { slot: error.message }, error)
        : new TidemarkError('source_lost', { detail: error.message }, error),
    );
  }

  override handleReadyForQuery(): void {
    this.#stop(new TidemarkError('source_lost', { detail: 'the master ended the stream' }));
  }

  /** Reads no more; nothing is confirmed afterwards. */
  end(): void {
    this.#ended = true;
  }

  #data(chunk: Buffer): void {
    const message = decode(chunk, DATA_AT);
    this.#writer.take(message);
    if (message.kind === 'commit') {
      this.#received = message.endLsn;
      this.#outbox.flush();
      this.#writer.reached(this.#received);
    }
    if (this.#outbox.full && !this.#paused) this.#pause();
  }

  #keepalive(chunk: Buffer): void {
    const sent = chunk.readBigUInt64BE(1);
    if (!this.#writer.open && sent > this.#received) this.#received = sent;
    if (!this.#writer.open) this.#writer.reached(this.#received);
    if (this.#asked && !this.#writer.open) {
      const { lsn, at } = this.#asked;
      this.#asked = null;
      this.#writer.heartbeat(toPosition(this.#received - 1n), at, this.#received >= lsn);
      this.#outbox.flush();
    }
    if (chunk[17] === 1) this.confirm(false);
  }

  /** Whether that is what the master says; its words are in its own language. */
  #isMissing(
    { code, message }: { code?: string | undefined; message?: string | undefined },
    codeOfIt: string,
  ): boolean {
    return code === codeOfIt && message?.includes(`"${this.#publication}"`) === true;
  }

  #pause(): void {
    this.#paused = true;
    this.connection?.stream.pause();
    this.#outbox.room().then(
      () => {
        this.#paused = false;
        this.connection?.stream.resume();
      },
      (error: unknown) => this.#stop(error),
    );
  }

  #stop(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#fail(asTidemarkError(error));
  }
}
