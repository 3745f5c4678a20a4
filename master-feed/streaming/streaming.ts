import type { RelayTables, RereadPlan } from '../reread/reread-plan.ts';
import { TableWatch } from '../reread/table-watch.ts';
import type { Step } from '../session-step.ts';
import type { NumberedTable, SourceTable } from '../source.ts';
import type { ChosenTables } from '../troubles/table-troubles.ts';
import { TransactionSink } from './transaction-sink.ts';

/**
 * Interval of heartbeats, in ms. Tests set a shorter one, because only a heartbeat shows that the relay is caught up.
 */
const HEARTBEAT_MS = Number(process.env.TIDEMARK_HEARTBEAT_MS ?? 5_000);

export interface StreamStep extends Step {
  /** The source's catalogue mark from before `tables` were described. */
  mark: string;
  /** The tables that the relay holds. */
  tables: NumberedTable[];
  /** Ids of the tables in trouble. */
  ignored: ReadonlySet<number>;
  /** Whether the feed should try a table in trouble again now. */
  isDue(): boolean;
  plan(chosen: ChosenTables, relay: RelayTables): RereadPlan;
  /** Called with tables that look different but need no re-read. */
  refresh(tables: SourceTable[]): Promise<void>;
}

/**
 * Streams the log from the relay's position, and sends a heartbeat every few seconds. Returns when `signal` is aborted
 * or when a check of the catalogue finds altered tables; everything written is then on the relay's disk. Throws
 * SchemaChanged if the log itself shows an altered table, source_lost, slot_in_use, source_not_ready, and the error of
 * a failed batch.
 *
 * It confirms only positions that the relay has on disk, because the master then releases its log and cannot send it
 * again.
 */
export async function stream(step: StreamStep): Promise<void> {
  const { source, lines, outbox, signal, log, tables, ignored, mark } = step;
  const { durable } = outbox;
  if (durable === null) throw new Error('a stream begins at the position of the relay');
  const ended = Promise.withResolvers<void>();
  // The promise is awaited below. The handler prevents an unhandled rejection until then.
  ended.promise.catch(() => undefined);
  const watch = new TableWatch(step, tables, mark);
  outbox.onFault = ended.reject;
  const sink = new TransactionSink(lines, outbox);
  const reader = await source.openLog(durable, tables, ignored, sink);
  const confirm = () => {
    if (outbox.durable !== null) reader.confirm(outbox.durable);
  };
  outbox.onDurable = confirm;
  const beat = async () => {
    // Read the end before checking the tables. A current heartbeat then also shows that the tables equaled the relay's.
    const sampledAtMs = performance.now();
    const end = await source.logEnd();
    if (await watch.look()) {
      ended.resolve();
      return;
    }
    sink.ask({ ...end, sampledAtMs });
    reader.ask(end);
  };
  const timer = setInterval(() => void beat().catch(ended.reject), HEARTBEAT_MS);
  if (signal.aborted) ended.resolve();
  signal.addEventListener('abort', () => ended.resolve(), { once: true });
  try {
    log('streaming', { from: durable, tables: tables.length });
    await Promise.race([beat(), ended.promise, reader.failed]);
    await Promise.race([ended.promise, reader.failed]);
    await outbox.drain();
    confirm();
  } finally {
    reader.stop();
    clearInterval(timer);
  }
}
