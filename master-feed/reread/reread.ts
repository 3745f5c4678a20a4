import { TidemarkError } from '@tidemark/protocol/errors';
import type { SourcePosition } from '@tidemark/protocol/position';
import { publishedOf, type Step } from '../session-step.ts';
import { type NumberedTable, type SourceTable, type TableCopy, TableFault } from '../source.ts';
import { type Mark, writeMarks } from '../troubles/marks.ts';
import { checkedRow } from '../troubles/row-size.ts';
import { type ChosenTables, setAside } from '../troubles/table-troubles.ts';
import { MergeSink } from './merge-sink.ts';
import type { Load, RereadPlan } from './reread-plan.ts';

/** How often the feed asks the master up to which position it has sent the log, in ms. */
const ASK_MS = 1_000;

export interface RereadStep extends Step {
  /** Plans the re-read for the tables at the position of the copy. */
  plan(chosen: ChosenTables): RereadPlan;
  /** Called after planning, before the first line is written. */
  beforeWriting(plan: RereadPlan): Promise<void>;
  /** Returns the marks of a table that cannot be read, as the relay holds it. Their ids begin at `firstFree`. */
  onFault(fault: TableFault, firstFree: number): Mark[];
  /** Called when the last line is written. The relay may then hold the tables even if no answer arrives. */
  onSent(position: SourcePosition, tables: SourceTable[]): void;
}

/**
 * Re-reads altered tables in one transaction, which brings the relay to the position of a new copy. See
 * docs/decisions/2026-11-23-reread-altered-tables.md. The transaction contains:
 * 1. the changes of unaltered tables up to that position, from the log,
 * 2. the names of dropped tables, and the marks of tables that are set aside,
 * 3. all rows of the altered tables, which the relay compares with its mirror to log the difference. A table that cannot
 *    be read is set aside instead.
 *
 * Returns the tables at that position that follow the master. Returns null when `signal` was aborted; the relay then discards the unfinished
 * transaction. Throws source_not_ready, source_lost, slot_in_use, and the error of a failed batch.
 */
export async function reread(step: RereadStep): Promise<SourceTable[] | null> {
  const { source, wanted, lines, outbox, log } = step;
  const copy = await source.copyTables('re-read');
  try {
    const chosen = publishedOf(await copy.describe(wanted), step);
    const plan = step.plan(chosen);
    await step.beforeWriting(plan);
    log('re-read', { to: copy.position, tables: plan.loads.map(({ table }) => table.schema.name), gone: plan.gone });
    lines.begin(copy.position, copy.takenAt);
    const alteredMeanwhile = await mergeLog(step, plan.kept, chosen.ignored, copy.position);
    if (alteredMeanwhile === null) return null;
    for (const name of plan.gone) lines.drop(name);
    writeMarks(lines, plan.marks);
    const merged = alteredMeanwhile.map(sameTable);
    const faults = await loadTables(step, copy, [...merged, ...plan.loads], plan);
    const { tables } = setAside(chosen, faults);
    lines.commit();
    step.onSent(copy.position, tables);
    await outbox.drain();
    return tables;
  } finally {
    await copy.close();
  }
}

/**
 * Sends the rows of the tables, and the marks of those that cannot be read. Returns their faults. Throws the fault of a
 * kept table, because the transaction already contains some of its changes.
 */
async function loadTables(
  { session, lines, outbox, log, onFault }: RereadStep,
  copy: TableCopy,
  loads: readonly Load[],
  plan: RereadPlan,
): Promise<TableFault[]> {
  const faults: TableFault[] = [];
  let next = Math.max(session.nextTableId, ...[...plan.loads, ...plan.marks].map(({ number }) => number + 1));
  for (const load of loads) {
    const { number, table, from, columns } = load;
    lines.declare(number, table.schema);
    lines.load(number, from, columns);
    try {
      const rows = await copy.readRows(table, outbox, (json) => lines.row('i', number, checkedRow(table, json)));
      lines.endLoad(number);
      log('copied', { table: table.schema.name, rows });
    } catch (error) {
      const isOfTable = error instanceof TableFault && error.trouble.id === table.id && plan.loads.includes(load);
      if (!isOfTable) throw error;
      faults.push(error);
      lines.drop(table.schema.name);
      const marks = onFault(error, next);
      writeMarks(lines, marks);
      next += marks.length;
    }
  }
  const failed = new Set(faults.map(({ trouble }) => trouble.id));
  const [changed] = await copy.alteredSince(loads.flatMap(({ table }) => (failed.has(table.id) ? [] : [table])));
  if (changed)
    throw new TidemarkError('source_lost', { detail: `${changed.schema.name} was altered while it was being read` });
  return faults;
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
  ignored: ReadonlySet<number>,
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
  const log = await source.openLog(durable, kept, ignored, sink);
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
