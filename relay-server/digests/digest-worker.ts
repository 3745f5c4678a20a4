import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { DigestAnswer, DigestPart, DigestRequest, RowsRequest, RowsTrailer } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { LINE_BYTES, PAGE_BYTES } from '@tidemark/protocol/page';
import { runCooperatively } from '@tidemark/table-store/cooperative-task';
import { TableRanges } from '@tidemark/table-store/digest';
import { INTEGER, query, row, TEXT } from '@tidemark/table-store/query';
import { openReader, type Reader } from '@tidemark/table-store/sqlite';
import { requireStoredSchema } from '@tidemark/table-store/stored-schema';
import type { z } from 'zod';
import { serveThread } from '../threads/worker-thread.ts';
import { DIGEST_CALLS } from './digest-calls.ts';

/**
 * A thread that reads snapshots for terminals that verify their replica. Concurrent digest requests advance in turns. A
 * request for rows runs without a break, because the size of its answer is limited. The thread closes a snapshot only
 * when no request uses it.
 */

/** Number of open snapshots at which the thread closes unused ones before it opens another. */
const FILES = 8;

const STORED_SCHEMA = row({ id: INTEGER, schema: TEXT });

interface OpenSnapshot {
  db: Reader;
  /** The snapshot's tables by id. */
  tables: Map<number, TableRanges>;
  /** Number of requests that use the snapshot. */
  users: number;
}

/** Open snapshots by file, least recently used first. */
const open = new Map<string, OpenSnapshot>();
/** Whether the relay is stopping. If so, requests fail at their next step. */
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
  const rows = query(db, 'SELECT id, schema FROM tidemark_table', STORED_SCHEMA).all();
  const tables = new Map(
    rows.map(({ id, schema }) => [id, new TableRanges(db, requireStoredSchema(db, schema))] as const),
  );
  const opened = { db, tables, users: 0 };
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

/** Throws cancelled if the relay is stopping. */
function requireOpen(): void {
  if (closing) throw new TidemarkError('cancelled');
}

/** Returns the body of a DigestAnswer. Other requests run between two steps of the computation. */
async function digests(at: OpenSnapshot, asks: DigestRequest['asks']): Promise<string> {
  const answers: DigestPart[][] = [];
  for (const ask of asks)
    answers.push(await runCooperatively(tableOf(at, ask).split(ask.range, ask.parts), requireOpen));
  return JSON.stringify({ answers } satisfies z.input<typeof DigestAnswer>);
}

/** Returns as many rows as fit in one answer, with the position at which the next request must continue. */
function rows(at: OpenSnapshot, asks: RowsRequest['asks']): Buffer {
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
  }
  return ended({ done: asks.length, after: null });
}

/** Runs `read` on a snapshot, which remains open meanwhile. */
async function using(
  file: string,
  read: (at: OpenSnapshot) => Buffer | Promise<Buffer>,
): Promise<{ bytes: Uint8Array<ArrayBuffer> }> {
  requireOpen();
  const at = snapshot(file);
  at.users++;
  try {
    return { bytes: new Uint8Array(await read(at)) };
  } finally {
    at.users--;
    endIfDone();
  }
}

/** Ends the thread if the relay is stopping and no request uses a snapshot. */
function endIfDone(): void {
  if (!closing || [...open.values()].some(({ users }) => users > 0)) return;
  for (const { db } of open.values()) db.close();
  open.clear();
  port.close();
}

const port = serveThread(DIGEST_CALLS, {
  digests: ({ file, asks }) => using(file, async (at) => Buffer.from(await digests(at, asks))),
  rows: ({ file, asks }) => using(file, (at) => rows(at, asks)),
  close: () => {
    closing = true;
    endIfDone();
    return {};
  },
});
