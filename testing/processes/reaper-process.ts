import { createInterface } from 'node:readline';
import { isRunning } from './process-identity.ts';
import type { ReaperLine } from './reaper.ts';
import { removeQuietly } from './temporary-folder.ts';

/**
 * The process behind reaper.ts.
 *
 * Order: read from the pipe which children the parent has started and which have ended, until the pipe closes. Then ask
 * the remaining children to end, kill those that do not, and remove the parent's run folder. This process must outlive
 * its parent, so it ignores every signal that can be ignored.
 */

/** Time for children to end before they are killed, ms. */
const GRACE_MS = 10_000;
/** Time for killed children to disappear, ms. */
const KILLED_MS = 5_000;
const POLL_MS = 50;

const children = new Map<number, NodeJS.Signals>();
let folder: string | null = null;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

for await (const line of createInterface({ input: process.stdin })) {
  const read = parse(line);
  if (read === null) continue;
  if (read.kind === 'started') children.set(read.pid, read.signal);
  else if (read.kind === 'ended') children.delete(read.pid);
  else folder = read.folder;
}

const pids = [...children.keys()].reverse();
for (const pid of pids) kill(pid, children.get(pid) ?? 'SIGTERM');
if (!(await ended(pids, GRACE_MS))) {
  for (const pid of pids) kill(pid, 'SIGKILL');
  await ended(pids, KILLED_MS);
}
if (folder) removeQuietly(folder);
process.exit();

/** Parses a line. Returns null for an incomplete one, which a killed parent leaves. */
function parse(line: string): ReaperLine | null {
  try {
    return JSON.parse(line) as ReaperLine;
  } catch {
    return null;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    if (isRunning(pid)) process.kill(pid, signal);
  } catch {
    // The child has ended meanwhile.
  }
}

async function ended(all: number[], withinMs: number): Promise<boolean> {
  for (const deadline = Date.now() + withinMs; all.some(isRunning); ) {
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return true;
}
