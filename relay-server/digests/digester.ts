import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { DigestRequest, RowsRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { type Coding, PageCache, type ReadyPage } from '../pages/page-cache.ts';
import { CLOSE, type CompareReply, type CompareRequest } from './digest-calls.ts';

/** Answers kept: a fleet that verifies asks the same. */
const CACHE_BYTES = 16 * 1024 * 1024;
/** An answer that takes longer goes on being made; who waits for it is told to ask again. */
const PATIENCE_MS = 5_000;
/** A thread that was not asked for this long ends, and closes its files. */
const IDLE_MS = 60_000;

type Body = CompareRequest extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never;

interface Waiting {
  resolve(bytes: Buffer): void;
  reject(error: Error): void;
}

/** Compares snapshots of one feed with what terminals hold, in a thread that is there while it is asked. */
export class Comparer {
  readonly #cache = new PageCache(CACHE_BYTES);
  #worker: Worker | null = null;
  #waiting = new Map<number, Waiting>();
  #next = 1;
  #idle: ReturnType<typeof setTimeout> | undefined;

  /** The body of a DigestAnswer. Throws request_invalid, snapshot_gone, and relay_busy while it is made. */
  async digests(file: string, { asks }: DigestRequest, coding: Coding): Promise<ReadyPage> {
    const name = `${file} ${createHash('sha256').update(JSON.stringify(asks)).digest('hex')}`;
    const made = this.#cache.get(name, coding, () => this.#call({ kind: 'digests', file, asks }));
    return withPatience(made);
  }

  /** The body of an answer to rows. Throws request_invalid, snapshot_gone, relay_busy. */
  async rows(file: string, { asks }: RowsRequest, coding: Coding): Promise<ReadyPage> {
    const name = `${file} rows ${createHash('sha256').update(JSON.stringify(asks)).digest('hex')}`;
    return withPatience(this.#cache.get(name, coding, () => this.#call({ kind: 'rows', file, asks })));
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#gone(worker, 'the relay stops');
    if (worker) await ended(worker);
  }

  #call(body: Body): Promise<Buffer> {
    const worker = this.#start();
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ ...body, id } as CompareRequest);
    });
  }

  #start(): Worker {
    clearTimeout(this.#idle);
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL('./digest-worker.ts', import.meta.url));
    worker.on('message', (reply: CompareReply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (reply.ok) waiting?.resolve(Buffer.from(reply.bytes));
      else waiting?.reject(new TidemarkError(reply.fault.code, reply.fault.params, reply.fault.detail));
      if (this.#waiting.size > 0) return;
      clearTimeout(this.#idle);
      this.#idle = setTimeout(() => {
        this.#worker = null;
        void ended(worker);
      }, IDLE_MS).unref();
    });
    worker.on('error', (error) => this.#gone(worker, String(error)));
    worker.on('exit', () => this.#gone(worker, 'it ended'));
    this.#worker = worker;
    return worker;
  }

  #gone(worker: Worker | null, why: string): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const { reject } of waiting.values())
      reject(new TidemarkError('internal', { detail: `the comparing thread stopped: ${why}` }));
  }
}

function ended(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    worker.once('exit', () => resolve());
    worker.postMessage(CLOSE);
  });
}

async function withPatience(made: Promise<ReadyPage>): Promise<ReadyPage> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TidemarkError('relay_busy')), PATIENCE_MS);
  });
  try {
    return await Promise.race([made, late]);
  } finally {
    clearTimeout(timer);
  }
}
