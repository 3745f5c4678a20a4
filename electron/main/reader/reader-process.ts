import path from 'node:path';
import { type Caller, makeCaller } from '@tidemark/calls/caller';
import { READER_EVENTS, READER_METHODS } from '@tidemark/data-reader/contract';
import { TidemarkError } from '@tidemark/protocol/errors';
import { utilityProcess } from 'electron';

/** The replica that a reader process reads. */
export interface Database {
  databasePath: string;
  feed: string;
}

/** A running reader process. */
export interface ReaderProcess {
  /** Resolves when the process accepts calls. Rejects with `reader_down` if it ends before. */
  readonly ready: Promise<void>;
  /** After the process has ended, rejects with `reader_down`. */
  readonly call: Caller<typeof READER_METHODS>['call'];
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  /** Ends the process at once, even inside a query. It only reads, so nothing is lost. */
  end(): void;
}

interface ReaderDeps {
  env: Record<string, string>;
  log: (level: 'info' | 'warn' | 'error', event: string, fields: Record<string, unknown>) => void;
}

const TABLES = { methods: READER_METHODS, events: READER_EVENTS };

/** Starts a reader process. It is separate from the agent, so that no query can delay a sync. */
export function startReader({ databasePath, feed }: Database, { env, log }: ReaderDeps): ReaderProcess {
  const child = utilityProcess.fork(path.join(__dirname, 'reader.cjs'), [databasePath, feed], {
    serviceName: 'Tidemark data reader',
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child.stderr
    ?.setEncoding('utf8')
    .on('data', (text: string) => log('error', 'reader.stderr', { detail: text.trim() }));
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  // The caller of `end` may not wait for the process.
  ready.promise.catch(() => undefined);
  const down = (reason: string) => new TidemarkError('reader_down', {}, new Error(reason));
  const caller = makeCaller(
    { post: (message) => child.postMessage(message), onMessage: (listener) => void child.on('message', listener) },
    TABLES,
    {
      on: { ready: () => ready.resolve() },
      onInvalidMessage: (error) => log('error', 'reader.invalid_message', { detail: error.message }),
      unanswered: down,
    },
  );
  child.once('exit', (code) => {
    const reason = `it ended with code ${code}`;
    caller.close(reason);
    ready.reject(down(reason));
    ended.resolve();
  });
  return {
    ready: ready.promise,
    call: caller.call,
    ended: ended.promise,
    end() {
      if (child.pid === undefined) return void child.kill();
      try {
        // A query does not return to the event loop, so the process could not handle a softer signal.
        process.kill(child.pid, 'SIGKILL');
      } catch (error) {
        // ESRCH: the process has just ended, and its exit event will follow.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    },
  };
}
