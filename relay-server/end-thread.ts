import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';

/** How long a thread that is at work may take to end by itself, ms. */
const GRACE_MS = 5_000;

/** Ends a thread that builds one thing and then ends. Ended inside a call of SQLite it could take the process with it, so it is waited for first. */
export async function endThread(worker: Worker | null): Promise<void> {
  if (!worker || worker.threadId === -1) return;
  const grace = new AbortController();
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  await Promise.race([ended, sleep(GRACE_MS, undefined, { signal: grace.signal }).catch(() => undefined)]);
  grace.abort();
  await worker.terminate();
}
