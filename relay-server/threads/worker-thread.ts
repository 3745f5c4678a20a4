import { setTimeout as sleep } from 'node:timers/promises';
import { type MessagePort, parentPort, Worker } from 'node:worker_threads';
import { type Caller, makeCaller } from '@tidemark/calls/caller';
import type { Port, TimedTable } from '@tidemark/calls/port';
import { type Handlers, serve } from '@tidemark/calls/server';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { z } from 'zod';

/**
 * Calls to a worker thread of this process.
 *
 * The first call starts the thread. If the thread dies, every pending call is rejected, and the next call starts a new
 * thread. Terminating a thread inside a SQLite call can crash the process. So this class first waits for the thread to
 * end, and terminates it only after a grace period.
 */

/** How long a busy thread may take to end before it is terminated, in ms. */
const GRACE_MS = 5_000;

export interface WorkerThreadOptions<M extends TimedTable> {
  /** Module of the thread, which must call {@link serveThread} with the same table. */
  module: URL;
  /** Name of the thread for messages: `the writer`. */
  name: string;
  methods: M;
  /** Plain data that the thread receives as `workerData`. */
  data?: unknown;
  /** Size of the part of the thread's heap in which new objects are created, in MiB. Default: that of Node. */
  youngHeapMib?: number;
}

interface Running<M extends TimedTable> {
  worker: Worker;
  caller: Caller<M>;
  exited: Promise<void>;
}

export class WorkerThread<M extends TimedTable> {
  readonly #options: WorkerThreadOptions<M>;
  #running: Running<M> | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: WorkerThreadOptions<M>) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#running !== null;
  }

  /**
   * Calls a method in the thread. Rejects with the thread's fault, or with `internal` if the thread dies or does not
   * answer in time.
   */
  call<N extends keyof M & string>(
    method: N,
    input: z.input<M[N]['in']>,
    transfer?: readonly ArrayBuffer[],
  ): Promise<z.output<M[N]['out']>> {
    this.#running ??= this.#start();
    return this.#running.caller.call(method, input, transfer);
  }

  /**
   * Rejects pending calls immediately, and resolves when the thread has ended. Terminates the thread after
   * {@link GRACE_MS}.
   */
  end(): Promise<void> {
    const running = this.#running;
    if (running) {
      // Later calls start a new thread.
      this.#running = null;
      running.caller.close('it was stopped');
      this.#ended = endOf(running);
    }
    return this.#ended;
  }

  /** Terminates the thread immediately. The caller must know that it is idle. */
  async terminate(): Promise<void> {
    await this.#running?.worker.terminate();
  }

  #start(): Running<M> {
    const { module, name, methods, data, youngHeapMib } = this.#options;
    const worker = new Worker(module, {
      workerData: data,
      ...(youngHeapMib === undefined ? {} : { resourceLimits: { maxYoungGenerationSizeMb: youngHeapMib } }),
    });
    const gone = (reason: string) => {
      if (this.#running?.worker === worker) this.#running = null;
      caller.close(reason);
    };
    const caller = makeCaller<M, Record<never, never>>(
      portOf(worker),
      { methods, events: {} },
      {
        on: {},
        // A thread that sends an invalid message is broken. Reject its pending calls instead of letting them wait.
        onInvalidMessage: (error) => {
          gone(error.message);
          void worker.terminate();
        },
        unanswered: (reason) => new TidemarkError('internal', { detail: `${name} did not answer: ${reason}` }),
      },
    );
    worker.once('error', (error) => gone(String(error)));
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', (code) => {
        gone(`it ended with code ${code}`);
        resolve();
      });
    });
    return { worker, caller, exited };
  }
}

async function endOf<M extends TimedTable>({ worker, exited }: Running<M>): Promise<void> {
  const grace = new AbortController();
  await Promise.race([exited, sleep(GRACE_MS, undefined, { signal: grace.signal }).catch(() => undefined)]);
  grace.abort();
  await worker.terminate();
}

/** Called in the thread: answers the calls of the table. A message that is not a call ends the thread. */
export function serveThread<M extends TimedTable>(methods: M, handlers: Handlers<M>): MessagePort {
  if (!parentPort) throw new Error('this module runs as a worker thread');
  const options = {
    withStack: true,
    movesBytes: true,
    onInvalidMessage: (error: Error) => {
      throw error;
    },
  };
  serve(portOf(parentPort), { methods, events: {} }, handlers, options);
  return parentPort;
}

function portOf(end: Worker | MessagePort): Port {
  return {
    post: (message, transfer = []) => end.postMessage(message, transfer),
    onMessage: (listener) => void end.on('message', listener),
  };
}
