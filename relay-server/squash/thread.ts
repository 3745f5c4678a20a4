import { parentPort, workerData } from 'node:worker_threads';
import { asTidemarkError } from '@tidemark/protocol/errors.ts';
import type { Fault } from '@tidemark/protocol/status/facts.ts';
import { buildSquash, type Squash, type SquashSource } from './build.ts';

/** Builds squashed pages once, off the event loop, and ends. */
export type SquashReply = { ok: true; squash: Squash | null } | { ok: false; fault: Fault };

const { source, file } = workerData as { source: SquashSource; file: string };

function build(): SquashReply {
  try {
    return { ok: true, squash: buildSquash(source, file) };
  } catch (error) {
    const { code, params, stack } = asTidemarkError(error);
    return { ok: false, fault: { code, params, detail: stack ?? '' } };
  }
}

parentPort?.postMessage(build());
