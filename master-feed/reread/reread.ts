import { TidemarkError } from '@tidemark/protocol/errors';
import { publishedOf, type Step } from '../session-step.ts';
import type { NumberedTable, SourceTable, TableCopy } from '../source.ts';
import { MergeSink } from './merge-sink.ts';
import type { Load, RereadPlan } from './reread-plan.ts';

/** How often the feed asks the master up to which position it has sent the log, in ms. */
const ASK_MS = 1_000;

export interface RereadStep extends Step {
  /** Plans the re-read for the tables at the position of the copy. */
  plan(tables: readonly SourceTable[]): RereadPlan;
  /** Called after planning, before the first line is written. */
  beforeWriting(plan: RereadPlan): Promise<void>;
}

/**
 * Re-reads altered tables in one transaction, which brings the relay to the position of a new copy. See
 * docs/decisions/2026-11-23-reread-altered-tables.md. The transaction contains:
 * 1. the changes of unaltered tables up to that position, from the log,
 * 2. the names of dropped tables,
 * 3. all rows of the altered tables, which the relay compares with its mirror to log the difference.
 *
 * Returns the tables at that position. Returns null when `signal` was aborted; the relay then discards the unfinished
 * transaction. Throws source_not_ready, source_lost, slot_in_use, and the error of a failed batch.
 */
export async function reread(step: RereadStep): Promise<SourceTable[] | null> {
  const { source, wanted, lines, outbox, log } = step;
  const copy = await source.copyTables('re-read');
  try {
    const tables = publishedOf(await copy.describe(wanted), step);
    const plan = step.plan(tables);
    await step.beforeWriting(plan);
    log('re-read', { to: copy.position, tables: plan.loads.map(({ table }) => table.schema.name), gone: plan.gone });
    lines.begin(copy.position, copy.takenAt);
    const alteredMeanwhile = await mergeLog(step, plan.kept, copy.position);
    if (alteredMeanwhile === null) return null;
    for (const name of plan.gone) lines.drop(name);
    await loadTables(step, copy, [...alteredMeanwhile.map(sameTable), ...plan.loads]);
    lines.commit();
    await outbox.drain();
    return tables;
  } finally {
    await copy.close();
  }
}

async function loadTables({ lines, outbox, log }: Step, copy: TableCopy, loads: readonly Load[]): Promise<void> {
  for (const { number, table, from, columns } of loads) {
    lines.declare(number, table.schema);
    lines.load(number, from, columns);
    const rows = await copy.readRows(table, outbox, (json) => lines.row('i', number, json));
    lines.endLoad(number);
    log('copied', { table: table.schema.name, rows });
  }
  const [changed] = await copy.alteredSince(loads.map(({ table }) => table));
  if (changed)
    throw new TidemarkError('source_lost', { detail: `${changed.schema.name} was altered while it was being read` });
}

/** Returns a load of a table whose schema is unchanged. */
const sameTable = ({ number, table }: NumberedTable): Load => ({
  number,
  table,
  from: number,
  columns: table.schema.columns.map(({ name }) => name),
});

/**
 * Writes the changes of the kept tables committed up to `until`. Returns the kept tables that were altered meanwhile,
 * or null if `signal` was aborted.
 */
async function mergeLog(
  { source, lines, outbox, signal }: Step,
  kept: readonly NumberedTable[],
  until: string,
): Promise<NumberedTable[] | null> {
  const { durable } = outbox;
  if (durable === null) throw new Error('a re-read begins at the position of the relay');
  const merged = Promise.withResolvers<'merged'>();
  const stopped = Promise.withResolvers<'stopped'>();
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const sink = new MergeSink(lines, outbox, kept, until, () => merged.resolve('merged'));
  const stop = () => stopped.resolve('stopped');
  outbox.onFault = failed.reject;
  const log = await source.openLog(durable, kept, sink);
  outbox.onDurable = () => {
    if (outbox.durable !== null) log.confirm(outbox.durable);
  };
  const ask = async () => log.ask(await source.logEnd());
  const timer = setInterval(() => void ask().catch(failed.reject), ASK_MS);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([ask(), failed.promise, log.failed]);
    const end = await Promise.race([merged.promise, stopped.promise, failed.promise, log.failed]);
    return end === 'stopped' ? null : sink.alteredTables;
  } finally {
    log.stop();
    clearInterval(timer);
    signal.removeEventListener('abort', stop);
  }
}
