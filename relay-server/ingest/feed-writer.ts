import { Worker } from 'node:worker_threads';
import type { SessionRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Retention } from '../log/retention.ts';
import type { Filters } from '../routing/filters.ts';
import type { Ingested } from './ingest.ts';
import type { Dropped, SessionState, WriterReply, WriterRequest } from './writer-calls.ts';

type Body = WriterRequest extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The main thread's end of a feed's writer thread. When the thread dies, every waiting call is rejected and the next one starts it anew. */
export class FeedWriter {
  readonly #file: string;
  readonly #filters: Filters;
  #worker: Worker | null = null;
  #waiting = new Map<number, Waiting>();
  #next = 1;

  constructor(file: string, filters: Filters) {
    this.#file = file;
    this.#filters = filters;
  }

  /** Opens or creates the store. Throws db_*, disk_full, or config_invalid when a filter does not fit its table. */
  async open(): Promise<void> {
    await this.#call({ kind: 'open' });
  }

  session(source: string, base: SessionRequest['base']): Promise<SessionState> {
    return this.#call({ kind: 'session', source, base }) as Promise<SessionState>;
  }

  /** The bytes move to the thread: the caller's buffer is gone afterwards. */
  batch(bytes: Uint8Array<ArrayBuffer>): Promise<Ingested> {
    return this.#call({ kind: 'batch', bytes }, [bytes.buffer]) as Promise<Ingested>;
  }

  /** One step of retention. */
  dropOldest(keep: Retention, now: number): Promise<Dropped> {
    return this.#call({ kind: 'drop-oldest', keep, now }) as Promise<Dropped>;
  }

  /** Drops what is not committed. */
  async reset(): Promise<void> {
    await this.#call({ kind: 'reset' });
  }

  async close(): Promise<void> {
    if (!this.#worker) return;
    await this.#call({ kind: 'close' });
    await this.#worker?.terminate();
    this.#worker = null;
  }

  #call(body: Body, transfer: ArrayBuffer[] = []): Promise<unknown> {
    const worker = this.#start();
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ ...body, id } as WriterRequest, transfer);
    });
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL('./writer-worker.ts', import.meta.url), {
      workerData: { file: this.#file, filters: this.#filters },
    });
    worker.on('message', (reply: WriterReply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (reply.ok) waiting?.resolve(reply.value);
      else waiting?.reject(new TidemarkError(reply.fault.code, reply.fault.params, reply.fault.detail));
    });
    const gone = (error: unknown) => {
      if (this.#worker === worker) this.#worker = null;
      const waiting = this.#waiting;
      this.#waiting = new Map();
      for (const { reject } of waiting.values())
        reject(new TidemarkError('internal', { detail: `the writer stopped: ${String(error)}` }, error));
    };
    worker.on('error', gone);
    worker.on('exit', gone);
    this.#worker = worker;
    return worker;
  }
}
