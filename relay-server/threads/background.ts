import { setPriority } from 'node:os';

/** Priority of a thread that builds or compares, from -20 (highest) to 19. */
const BACKGROUND = 10;

/**
 * Lowers the priority of the calling thread, so that the event loop and the writer have the processor first: snapshots,
 * compactions and digests have three threads, often more than there are cores. Only Linux has priorities of threads;
 * elsewhere, the call would change the process. Threads that this thread starts inherit the priority. The thread pool
 * of the process does not, because loading a module has started it before.
 */
export function runInBackground(): void {
  if (process.platform === 'linux') setPriority(BACKGROUND);
}
