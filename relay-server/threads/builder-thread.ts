import type { TimedTable } from '@tidemark/calls/port';
import type { z } from 'zod';
import { runInBackground } from './background.ts';
import { serveThread, WorkerThread, type WorkerThreadOptions } from './worker-thread.ts';

/**
 * Runs each build in its own thread, so that the memory of a build is released when the thread ends. The caller must
 * run one build at a time. `run` settles only after the thread has ended, because until then the thread may still write
 * its files.
 */

/** The call table of a builder, which has only `build`. */
type BuildTable = TimedTable & { readonly build: TimedTable[string] };

export class BuilderThread<M extends BuildTable> {
  readonly #options: WorkerThreadOptions<M>;
  #thread: WorkerThread<M> | null = null;

  constructor(options: WorkerThreadOptions<M>) {
    this.#options = options;
  }

  /**
   * Runs a build. Throws the error of the build, or `internal` if the thread ends without an answer or exceeds its time
   * limit.
   */
  async run(input: z.input<M['build']['in']>): Promise<z.output<M['build']['out']>> {
    const thread = new WorkerThread(this.#options);
    this.#thread = thread;
    try {
      return await thread.call('build', input);
    } finally {
      await thread.end();
    }
  }

  /** Ends a running build, which fails with `internal`. */
  async end(): Promise<void> {
    await this.#thread?.end();
  }
}

/** Called in the thread: runs the requested build and then lets the thread end. */
export function serveBuild<M extends BuildTable>(
  methods: M,
  build: (input: z.output<M['build']['in']>) => z.input<M['build']['out']> | Promise<z.input<M['build']['out']>>,
): void {
  runInBackground();
  const port = serveThread<BuildTable>(methods, {
    build: (input) => {
      // Only the port keeps the thread alive. After this call, the thread ends once it has answered.
      port.unref();
      return build(input as z.output<M['build']['in']>);
    },
  });
}
