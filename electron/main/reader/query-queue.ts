import type { Handlers } from '@tidemark/calls/server';
import { QUERY_LIMIT_MS, WINDOW_METHODS } from '@tidemark/data-reader/contract';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Database, ReaderProcess } from './reader-process.ts';

/**
 * Sends the window's queries to a reader process, one at a time.
 *
 * A process that runs a query cannot be interrupted. The queue therefore ends the process when a query exceeds its time
 * limit or is cancelled, and starts another one for the next query. Queries that wait in the queue have not been sent,
 * so they are unaffected. The queue starts a process only for a query, and another one when the replica's path or feed
 * has changed.
 */

type Method = keyof typeof WINDOW_METHODS;

interface Query {
  method: Method;
  input: unknown;
  resolve: (answer: never) => void;
  reject: (error: unknown) => void;
}

interface QueueDeps {
  /** Returns the replica to read. Null: the app is not set up. */
  database: () => Database | null;
  start: (database: Database) => ReaderProcess;
  /** Returns a time in ms that never goes back. */
  now: () => number;
}

/** A cancelled query that has run for less than this ends soon. Ending its process would cost more. */
const GRACE_MS = 250;

export class QueryQueue {
  readonly #deps: QueueDeps;
  readonly #waiting: Query[] = [];
  #isWorking = false;
  #process: (ReaderProcess & { database: Database }) | null = null;
  #running: { since: number; fail: (error: TidemarkError) => void } | null = null;

  constructor(deps: QueueDeps) {
    this.#deps = deps;
  }

  /** Handlers for the window's calls that a reader process answers. */
  readonly forwarded = Object.fromEntries(
    (Object.keys(WINDOW_METHODS) as Method[]).map((method) => [method, (input: unknown) => this.#add(method, input)]),
    // The type of Object.fromEntries does not relate each name to its handler. A test covers it.
  ) as unknown as Handlers<typeof WINDOW_METHODS>;

  /** Rejects all queries with `query_cancelled`, and ends the process of one that is running. */
  cancel(): void {
    for (const query of this.#waiting.splice(0)) query.reject(new TidemarkError('query_cancelled'));
    if (this.#running && this.#deps.now() - this.#running.since > GRACE_MS)
      this.#running.fail(new TidemarkError('query_cancelled'));
  }

  /** Ends the process. */
  stop(): void {
    this.cancel();
    this.#end();
  }

  #add(method: Method, input: unknown): Promise<never> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ method, input, resolve, reject });
      if (!this.#isWorking) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let query = this.#waiting.shift(); query; query = this.#waiting.shift()) {
      try {
        query.resolve(await this.#run(query));
      } catch (error) {
        query.reject(error);
      }
    }
    this.#isWorking = false;
  }

  /** Runs one query. Rejects as soon as it exceeds its limit or is cancelled. */
  #run({ method, input }: Query): Promise<never> {
    return new Promise((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      let isSettled = false;
      const settle = (act: () => void) => {
        // The call of a process that was ended is rejected later.
        if (isSettled) return;
        isSettled = true;
        clearTimeout(timer);
        this.#running = null;
        act();
      };
      const fail = (error: TidemarkError) => {
        this.#end();
        settle(() => reject(error));
      };
      this.#running = { since: this.#deps.now(), fail };
      const send = async () => {
        const reader = this.#reader();
        await reader.ready;
        timer = setTimeout(
          () => fail(new TidemarkError('query_timeout', { seconds: QUERY_LIMIT_MS / 1000 })),
          QUERY_LIMIT_MS,
        );
        return reader.call(method, input as never);
      };
      send().then(
        (answer) => settle(() => resolve(answer as never)),
        (error: unknown) => settle(() => reject(error)),
      );
    });
  }

  /** Returns the process for the current replica, and starts it if none runs. */
  #reader(): ReaderProcess {
    const database = this.#deps.database();
    if (!database) throw new TidemarkError('not_configured');
    const { databasePath, feed } = database;
    const current = this.#process;
    if (current?.database.databasePath === databasePath && current.database.feed === feed) return current;
    this.#end();
    const started = { ...this.#deps.start({ databasePath, feed }), database: { databasePath, feed } };
    this.#process = started;
    void started.ended.then(() => {
      if (this.#process === started) this.#process = null;
    });
    return started;
  }

  #end(): void {
    this.#process?.end();
    this.#process = null;
  }
}
