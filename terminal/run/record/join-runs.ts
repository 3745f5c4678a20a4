import type { Run } from '@tidemark/protocol/run';
import { addCounts, addTables } from './table-counts.ts';

/**
 * Runs that follow the relay and begin within this time of each other, ms, become one run. Otherwise each transaction
 * would add a line to the history.
 */
const JOINED_MS = 60_000;

/** Joins a run to the previous one. Null when the history keeps the runs separately. */
export function joinRuns(before: Run | null, run: Run): Run | null {
  if (before === null || !follows(before) || !follows(run)) return null;
  if (run.startedAt - before.startedAt > JOINED_MS) return null;
  return {
    ...run,
    ...addCounts(before, run),
    id: before.id,
    startedAt: before.startedAt,
    from: before.from,
    tables: addTables(before.tables, run.tables),
    bytes: before.bytes + run.bytes,
    retries: before.retries + run.retries,
  };
}

/**
 * Whether a run only pulled changes while following the relay. A run that changed a mark stays separate, because the
 * history shows when a table was set aside.
 */
function follows({ trigger, outcome, snapshot, differences, setAside, followed }: Run): boolean {
  const isPull = trigger === 'watch' && outcome === 'done' && snapshot === null && differences === undefined;
  return isPull && setAside === undefined && followed === undefined;
}
