import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { DigestAnswer, DigestPart, RowsRequest, RowsTrailer } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { LINE_BYTES, PAGE_BYTES } from '@tidemark/protocol/page';
import { type CooperativeTask, runCooperatively } from '@tidemark/table-store/cooperative-task';
import { TableRanges } from '@tidemark/table-store/digest';
import { INTEGER, query, row, TEXT } from '@tidemark/table-store/query';
import { openReader, type Reader } from '@tidemark/table-store/sqlite';
import { requireStoredSchema } from '@tidemark/table-store/stored-schema';
import type { z } from 'zod';
import { compressNow } from '../pages/compression.ts';
import { runInBackground } from '../threads/background.ts';
import { serveThread } from '../threads/worker-thread.ts';
import { digestAsks, rowsAsks } from './digest-body.ts';
import { DIGEST_CALLS, type DigestTask } from './digest-calls.ts';

/**
 * A thread that reads snapshots for terminals that verify their replica. The caller runs at most one call of each key,
 * and the calls advance in turns of one step, so a long call delays a short one by one step for each call in progress. A
 * step reads at most 1,000 rows or about 1 MiB. Sorting a table without a key is one longer step, so its digest is kept
 * while the snapshot is open. A call ends at its next step when it is cancelled. The thread closes a snapshot only when
 * no call uses it.
 */

/** Number of open snapshots at which the thread closes unused ones before it opens another. */
const FILES = 8;
/** Memory for the pages of an open snapshot, in KiB. Calls read ranges from start to end, so more helps little. */
const CACHE_KIB = 1024;

const STORED_SCHEMA = row({ id: INTEGER, schema: TEXT });

interface OpenSnapshot {
  db: Reader;
  /** The snapshot's tables by id. */
  tables: Map<number, TableRanges>;
  /** Digests of tables without a key, by table id. */
  keyless: Map<number, DigestPart[]>;
  /** Number of calls that use the snapshot. */
  users: number;
}

/** Open snapshots by file, least recently used first. */
const open = new Map<string, OpenSnapshot>();
/** Whether the relay is stopping. If so, calls fail at their next step. */
let closing = false;

/** Returns an open snapshot, and opens it if necessary. Throws snapshot_gone. */
function snapshot(file: string): OpenSnapshot {
  const known = open.get(file);
  if (known) {
    open.delete(file);
    open.set(file, known);
    return known;
  }
  for (const [oldest, { db, users }] of open) {
    if (open.size < FILES) break;
    if (users > 0) continue;
    db.close();
    open.delete(oldest);
  }
  if (!existsSync(file)) throw new TidemarkError('snapshot_gone');
  const db = openReader(file);
  db.pragma(`cache_size = -${CACHE_KIB}`);
  const rows = query(db, 'SELECT id, schema FROM tidemark_table', STORED_SCHEMA).all();
  const tables = new Map(
    rows.map(({ id, schema }) => [id, new TableRanges(db, requireStoredSchema(db, schema))] as const),
  );
  const opened = { db, tables, keyless: new Map(), users: 0 };
  open.set(file, opened);
  return opened;
}

/** Returns the table of one part of a request. Throws request_invalid if the range does not match the table's key. */
function tableOf({ tables }: OpenSnapshot, { table: id, range }: RowsRequest['asks'][number]): TableRanges {
  const table = tables.get(id);
  if (!table) throw new TidemarkError('request_invalid', { detail: `table: the snapshot has no table ${id}` });
  table.require(range);
  return table;
}

/** A call in progress. */
interface Running {
  cancelled: boolean;
}

/** Calls in progress, by id. */
const running = new Map<number, Running>();

/** Throws cancelled if the asker is gone or the relay is stopping. */
const requireWanted = (call: Running) => () => {
  if (closing || call.cancelled) throw new TidemarkError('cancelled');
};

/** Computes the body of a DigestAnswer. */
async function digests(at: OpenSnapshot, body: Uint8Array, onStep: () => void): Promise<Buffer> {
  const answers: DigestPart[][] = [];
  for (const ask of digestAsks(body)) {
    const table = tableOf(at, ask);
    const parts = at.keyless.get(ask.table) ?? (await runCooperatively(table.split(ask.range, ask.parts), onStep));
    if (table.schema.key.length === 0) at.keyless.set(ask.table, parts);
    answers.push(parts);
  }
  return Buffer.from(JSON.stringify({ answers } satisfies z.input<typeof DigestAnswer>));
}

/** Yields after each range. Returns as many rows as fit in one answer, with the position at which the next one begins. */
function* rows(at: OpenSnapshot, asks: RowsRequest['asks']): CooperativeTask<Buffer> {
  const body: string[] = [];
  let size = 0;
  let line: string[] = [];
  let lineSize = 0;
  const endLine = (table: number) => {
    if (line.length === 0) return;
    body.push(`["i",${table},[${line.join(',')}]]\n`);
    line = [];
    lineSize = 0;
  };
  const ended = (trailer: Omit<RowsTrailer, 'sha256'>) => {
    const bytes = Buffer.from(body.join(''));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return Buffer.concat([bytes, Buffer.from(`${JSON.stringify({ ...trailer, sha256 } satisfies RowsTrailer)}\n`)]);
  };
  for (const [done, ask] of asks.entries()) {
    for (const { row, key } of tableOf(at, ask).rows(ask.range)) {
      const text = JSON.stringify(row);
      line.push(text);
      lineSize += text.length;
      size += text.length;
      if (lineSize >= LINE_BYTES) endLine(ask.table);
      if (size < PAGE_BYTES) continue;
      endLine(ask.table);
      return ended({ done, after: key });
    }
    endLine(ask.table);
    yield 0;
  }
  return ended({ done: asks.length, after: null });
}

async function answer({ id, kind, file, body, coding }: DigestTask & { id: number }) {
  const call: Running = { cancelled: false };
  const onStep = requireWanted(call);
  onStep();
  const at = snapshot(file);
  running.set(id, call);
  at.users++;
  try {
    const found =
      kind === 'digests' ? await digests(at, body, onStep) : await runCooperatively(rows(at, rowsAsks(body)), onStep);
    const { bytes, coding: used } = compressNow(found, coding);
    return { bytes: new Uint8Array(bytes), coding: used };
  } finally {
    at.users--;
    running.delete(id);
    endIfDone();
  }
}

/** Ends the thread if the relay is stopping and no call uses a snapshot. */
function endIfDone(): void {
  if (!closing || running.size > 0) return;
  for (const { db } of open.values()) db.close();
  open.clear();
  port.close();
}

runInBackground();
const port = serveThread(DIGEST_CALLS, {
  answer,
  cancel: ({ id }) => {
    const call = running.get(id);
    if (call) call.cancelled = true;
    return {};
  },
  close: () => {
    closing = true;
    endIfDone();
    return {};
  },
});
