import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, Worker } from 'node:worker_threads';
import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';

/** How long a thread that is at work may take to end by itself, ms. */
const GRACE_MS = 5_000;

/** The one thing that a thread says before it ends. */
type Reply<T> = { ok: true; built: T } | { ok: false; fault: Fault };

/** Runs a module as a thread that builds one thing, off the event loop, and then ends; one at a time. */
export class BuilderThread<T> {
  readonly #module: URL;
  #worker: Worker | null = null;

  /** `module` answers by `replyWith`. */
  constructor(module: URL) {
    this.#module = module;
  }

  /** What the thread built. Throws what was thrown in it, `internal` when it ended without an answer. */
  run(workerData: unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      const worker = new Worker(this.#module, { workerData });
      this.#worker = worker;
      worker.once('error', reject);
      worker.once('exit', () => reject(new TidemarkError('internal', { detail: `${this.#module.pathname} ended` })));
      worker.once('message', (reply: Reply<T>) => {
        if (reply.ok) resolve(reply.built);
        else reject(new TidemarkError(reply.fault.code, reply.fault.params, reply.fault.detail));
      });
    });
  }

  /** Ended inside a call of SQLite a thread could take the process with it, so it is waited for first. */
  async end(): Promise<void> {
    const worker = this.#worker;
    if (!worker || worker.threadId === -1) return;
    const grace = new AbortController();
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    await Promise.race([ended, sleep(GRACE_MS, undefined, { signal: grace.signal }).catch(() => undefined)]);
    grace.abort();
    await worker.terminate();
  }
}

/** In the thread: builds, and tells what was built or why not. */
export async function replyWith<T>(build: () => T | Promise<T>): Promise<void> {
  const tell = (reply: Reply<T>) => parentPort?.postMessage(reply);
  try {
    tell({ ok: true, built: await build() });
  } catch (error) {
    const { code, params, stack } = asTidemarkError(error);
    tell({ ok: false, fault: { code, params, detail: stack ?? '' } });
  }
}
