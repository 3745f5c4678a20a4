import {
  identityOf,
  isSameProcessRunning,
  type ProcessIdentity,
  processWithParent,
} from '@tidemark/testing/processes/process-identity';

/**
 * Turns every way of ending the demo into one abort signal: Ctrl+C and other signals, a closed console, a closed output
 * pipe (`npm start | head`), and a killed npm. When the demo itself is killed, the reaper of `testing/` cleans up.
 */

/**
 * Time after which a second signal ends the process at once, ms. An earlier one is ignored, because npm may deliver one
 * Ctrl+C twice.
 */
const INSIST_MS = 5_000;
/** How often the demo checks that npm still runs, ms. */
const LAUNCHER_POLL_MS = 500;

export function watchForShutdown(): AbortSignal {
  const shutdown = new AbortController();
  let since = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (since !== 0 && Date.now() - since > INSIST_MS) process.exit(1);
      since ||= Date.now();
      shutdown.abort();
    });
  }
  // Without these listeners, a write to a closed console or pipe would end this process before its children.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => shutdown.abort());
  watchLauncher(() => shutdown.abort());
  return shutdown.signal;
}

/** Calls `onGone` when npm, or a shell between npm and this process, has ended. */
function watchLauncher(onGone: () => void): void {
  const launchers = findLaunchers();
  if (launchers.length === 0) return;
  const timer = setInterval(() => {
    if (launchers.every(isSameProcessRunning)) return;
    clearInterval(timer);
    onGone();
  }, LAUNCHER_POLL_MS);
  timer.unref();
}

/** Returns npm and the processes between npm and this one. Empty when npm did not start this process. */
function findLaunchers(): ProcessIdentity[] {
  if (process.env.npm_lifecycle_event === undefined) return [];
  const found: ProcessIdentity[] = [];
  for (let pid = process.ppid; pid > 1; ) {
    const launcher = processWithParent(pid);
    if (!launcher) return [];
    found.push(identityOf(pid));
    if (/\bnpm\b/.test(launcher.command)) return found;
    pid = launcher.parent;
  }
  return [];
}
