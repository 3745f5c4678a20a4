import type { Run, Trigger } from '@tidemark/protocol/run';
import { FORMAT } from '@tidemark/status/format';

/** An entry of the list: one run, or a group of checks that found no changes. */
export type Entry = { kind: 'run'; run: Run } | { kind: 'quiet'; id: string; runs: Run[] };

interface Day {
  name: string;
  entries: Entry[];
}

export interface Filter {
  outcome: Run['outcome'] | 'all';
  trigger: Trigger | 'all';
}

export const NO_FILTER: Filter = { outcome: 'all', trigger: 'all' };

export function matching(runs: readonly Run[], { outcome, trigger }: Filter): Run[] {
  return runs.filter(
    (run) => (outcome === 'all' || run.outcome === outcome) && (trigger === 'all' || run.trigger === trigger),
  );
}

/**
 * Reports whether a check found changes waiting. Such a check received nothing, but its result is not "nothing new".
 * Before the first sync, all data counts as waiting.
 */
export const foundWaiting = (run: Run): boolean =>
  run.mode === 'check' && run.outcome === 'nothing-new' && ((run.left ?? 0) > 0 || run.from === null);

/**
 * Groups runs by day. `runs` is ordered newest first. Within a day, consecutive runs without new changes become one
 * entry.
 */
export function byDay(runs: readonly Run[], now: number): Day[] {
  const days: Day[] = [];
  for (const run of runs) {
    const name = FORMAT.day(run.startedAt, now);
    let day = days.at(-1);
    if (day?.name !== name) {
      day = { name, entries: [] };
      days.push(day);
    }
    const last = day.entries.at(-1);
    // A comparison always has its own entry, which proves that it took place.
    const quiet = run.outcome === 'nothing-new' && run.mode !== 'verify' && !foundWaiting(run);
    if (quiet && last?.kind === 'quiet') last.runs.push(run);
    else if (quiet) day.entries.push({ kind: 'quiet', id: run.id, runs: [run] });
    else day.entries.push({ kind: 'run', run });
  }
  return days.map((day) => ({ ...day, entries: day.entries.map(ungroupSingle) }));
}

/** Replaces a group of one run with that run. */
function ungroupSingle(entry: Entry): Entry {
  const [only, ...others] = entry.kind === 'quiet' ? entry.runs : [];
  return only && others.length === 0 ? { kind: 'run', run: only } : entry;
}
