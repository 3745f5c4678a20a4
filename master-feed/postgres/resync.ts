import { TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import type { LineWriter } from '../line-writer.ts';
import type { Outbox } from '../outbox.ts';
import type { Log } from '../source.ts';
import { alteredSince, connectIn, copyTable } from './base.ts';
import type { SourceTable } from './catalog.ts';
import { type Connection, connect } from './connection.ts';
import { logEnd } from './log-end.ts';
import { fromPosition, type Lsn, toPosition } from './lsn.ts';
import { MergeWriter } from './merge-writer.ts';
import type { Checked } from './prerequisites.ts';
import type { Load, Numbered, ResyncPlan } from './resync-plan.ts';
import { RowWriter } from './row-writer.ts';
import { makeSlot } from './slot.ts';
import { Stream } from './stream.ts';

/** How often the master is asked how far it has sent. */
const ASK_MS = 1_000;

export interface ResyncDeps {
  url: string;
  /** Of slot and publication. */
  name: string;
  control: Connection;
  /** For the slot's stream. */
  replication: Connection;
  lines: LineWriter;
  outbox: Outbox;
  log: Log;
  signal: AbortSignal;
  /** What there is to do, as the master's tables are at the position that was chosen. */
  plan(tables: SourceTable[]): ResyncPlan;
  /** Told before the relay can have the new tables. */
  begin(plan: ResyncPlan): Promise<void>;
}

/**
 * Brings the relay to a position of now in one transaction: what the log says of the tables that stayed as they were,
 * and all rows of those that were altered, of which the relay logs what differs. Returns the tables as they were there;
 * null when it was stopped.
 */
export async function resync(
  deps: ResyncDeps,
  published: ReadonlySet<number>,
  check: (client: pg.Client) => Promise<Checked>,
): Promise<SourceTable[] | null> {
  const { url, control, lines, outbox, log } = deps;
  const second = await connect(url, true);
  let copy: Connection | null = null;
  try {
    const slot = await makeSlot(second.client, `${deps.name}_${process.pid}`, true, log);
    copy = await connectIn(url, slot.snapshot);
    const checked = await check(copy.client);
    const tables = checked.tables.filter(({ oid }) => published.has(oid));
    const plan = deps.plan(tables);
    await deps.begin(plan);
    const position = toPosition(slot.start - 1n);
    log('resync', { to: position, tables: plan.loads.map(({ table }) => table.name), gone: plan.gone });
    lines.begin(position, (await logEnd(copy)).at);
    const altered = await merge(deps, plan.kept, slot.start);
    if (altered === null) return null;
    for (const name of plan.gone) lines.drop(name);
    const loads = [...altered.map(asItIs), ...plan.loads];
    for (const load of loads) {
      lines.declare(load.id, load.table.schema);
      lines.load(load.id, load.from, load.columns);
      const rows = await copyTable(copy.client, load.table, load.id, lines, outbox);
      lines.endLoad(load.id);
      log('copied', { table: load.table.name, rows });
    }
    const [changed] = await alteredSince(
      control.client,
      loads.map(({ table }) => table),
      checked.version,
    );
    if (changed) throw new TidemarkError('source_lost', { detail: `${changed.name} was altered while it was read` });
    lines.commit();
    await outbox.drain();
    return tables;
  } finally {
    await copy?.end();
    await second.end();
  }
}

const asItIs = ({ id, table }: Numbered): Load => ({
  id,
  table,
  from: id,
  columns: table.columns.map(({ name }) => name),
});

/** Writes what was committed before `until`, of the tables that were kept. Returns those that were altered meanwhile; null when it was stopped. */
async function merge(deps: ResyncDeps, kept: Numbered[], until: Lsn): Promise<Numbered[] | null> {
  const { name, control, replication, outbox, lines, signal } = deps;
  const { durable } = outbox;
  if (durable === null) throw new Error('a resync begins where the relay is');
  const passed = Promise.withResolvers<void>();
  // It is waited for below; a fault before that is not lost.
  passed.promise.catch(() => undefined);
  const stopped = Promise.withResolvers<null>();
  const stop = () => stopped.resolve(null);
  const writer = new MergeWriter(new RowWriter(lines, kept), until, () => {
    stream.end();
    passed.resolve();
  });
  const stream = new Stream(name, name, fromPosition(durable) + 1n, writer, outbox, passed.reject);
  const ask = async () => stream.ask(await logEnd(control));
  const timer = setInterval(() => void ask().catch(passed.reject), ASK_MS);
  signal.addEventListener('abort', stop, { once: true });
  try {
    stream.start(replication.client);
    await ask();
    const end = await Promise.race([passed.promise, stopped.promise, replication.lost, control.lost]);
    return end === null ? null : writer.altered;
  } finally {
    stream.end();
    clearInterval(timer);
    signal.removeEventListener('abort', stop);
  }
}
