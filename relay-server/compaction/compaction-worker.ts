import { workerData } from 'node:worker_threads';
import { replyWith } from '../threads/builder-thread.ts';
import { buildSquash, type SquashSource } from './compact.ts';

/** Builds squashed pages once, off the event loop, and ends. */
const { source, file } = workerData as { source: SquashSource; file: string };

await replyWith(() => buildSquash(source, file));
