import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** Finds the steps of a command at which a test kills it. */

/** The environment variable with the order, as JSON. */
export const KILL_POINT = 'TIDEMARK_KILL_POINT';

/** Names the step at which a process ends. See preload.ts. */
export interface KillOrder {
  /** File name of the first module of the thread whose steps count, such as `main.ts`. */
  module: string;
  /** The step at which the process ends. Null: it does not end, and writes the names of its steps to `log`. */
  at: string | null;
  log: string;
}

const PRELOAD = pathToFileURL(path.join(import.meta.dirname, 'preload.ts')).href;

/** Returns the environment that makes a process follow an order. */
export function environmentOf(order: KillOrder): NodeJS.ProcessEnv {
  const { NODE_OPTIONS = '' } = process.env;
  return { NODE_OPTIONS: `${NODE_OPTIONS} --import ${PRELOAD}`.trim(), [KILL_POINT]: JSON.stringify(order) };
}

/**
 * Returns the steps in a log that a process wrote without being killed. A loop repeats a step for each row or for each
 * piece of a file, so only the first and the last of equal steps are returned.
 */
export function killPointsIn(log: string): string[] {
  if (!existsSync(log)) return [];
  const steps = readFileSync(log, 'utf8').split('\n').filter(Boolean);
  const counts = new Map<string, number>();
  for (const step of steps) {
    const name = step.slice(0, step.lastIndexOf(' #'));
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return steps.filter((step) => {
    const at = step.lastIndexOf(' #');
    const n = Number(step.slice(at + 2));
    const count = counts.get(step.slice(0, at)) ?? 0;
    return n === 1 || n === count;
  });
}
