import type { TimedTable } from '@tidemark/calls/port';
import type { z } from 'zod';
import { serveThread, WorkerThread, type WorkerThreadOptions } from './worker-thread.ts';

/**
 * Threads that build one thing and end, so that the memory of a build is returned. The caller runs one build at a time.
 * `run` settles only when the thread has ended: until then the thread may still write its files.
 */

/** The calls of a builder: one. */
type BuildTable = TimedTable & { readonly build: TimedTable[string] };

export class BuilderThread<M extends BuildTable> {
  readonly #options: WorkerThreadOptions<M>;
  #thread: WorkerThread<M> | null = null;

  constructor(options: WorkerThreadOptions<M>) {
    this.#options = options;
  }

  /** Throws the error of the build, and `internal` when the thread ended without an answer or exceeded its time limit. */
  async run(input: z.input<M['build']['in']>): Promise<z.output<M['build']['out']>> {
    const thread = new WorkerThread(this.#options);
    this.#thread = thread;
    try {
      return await thread.call('build', input);
    } finally {
      await thread.end();
    }
  }

  /** Ends a build that is running; it fails with `internal`. */
  async end(): Promise<void> {
    await this.#thread?.end();
  }
}

/** In the thread: runs the requested build, and lets the thread end. */
export function serveBuild<M extends BuildTable>(
  methods: M,
  build: (input: z.output<M['build']['in']>) => z.input<M['build']['out']> | Promise<z.input<M['build']['out']>>,
): void {
  const port = serveThread<BuildTable>(methods, {
    build: (input) => {
      // Nothing else keeps the thread alive once the build has been answered.
      port.unref();
      return build(input as z.output<M['build']['in']>);
    },
  });
}
