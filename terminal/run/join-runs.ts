import type { Run } from '@tidemark/protocol/run';
import { addCounts, addTables } from './table-counts.ts';

/** Runs that follow the relay are kept as one when they begin within this time, ms: else each transaction would be a line of the history. */
const JOINED_MS = 60_000;

/** The run before and this one as one run; null when this one is kept separately. */
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

/** Whether a run only pulled changes while it followed the relay. */
function follows({ trigger, outcome, snapshot, differences }: Run): boolean {
  return trigger === 'watch' && outcome === 'done' && snapshot === null && differences === undefined;
}
