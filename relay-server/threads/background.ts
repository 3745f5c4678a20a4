import { getPriority, setPriority } from 'node:os';

/** Difference between the priority of a background thread and the process's, which is from -20 (highest) to 19. */
export const BACKGROUND = 10;
const LOWEST = 19;

/**
 * Lowers the priority of the calling thread, so that the event loop and the writer have the processor first: snapshots,
 * compactions and digests have three threads, often more than there are cores. Only Linux has priorities of threads;
 * elsewhere, the call would change the process. Threads that this thread starts inherit the priority. The thread pool
 * of the process does not, because loading a module has started it before.
 */
export function runInBackground(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(Math.min(LOWEST, getPriority() + BACKGROUND));
  } catch {
    // A sandbox may forbid the call. The thread then does its work at the priority of the process.
  }
}
