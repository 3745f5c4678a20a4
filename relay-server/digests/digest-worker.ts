import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { DigestPart, RowsRequest, RowsTrailer } from '@tidemark/protocol/api';
import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import { LINE_BYTES, PAGE_BYTES } from '@tidemark/protocol/page';
import { TableSchema } from '@tidemark/protocol/schema';
import { runCooperatively } from '@tidemark/table-store/cooperative-task';
import { TableRanges } from '@tidemark/table-store/digest';
import { openReader, type Reader } from '@tidemark/table-store/sqlite';
import { CLOSE, type CompareReply, type CompareRequest } from './digest-calls.ts';

/** Reads snapshots for terminals that compare, off the event loop of the relay. Requests go on in turns. */
const port = parentPort;
if (!port) throw new Error('comparisons run as a thread');

/** Snapshots kept open. */
const FILES = 8;

interface OpenSnapshot {
  db: Reader;
  tables: Map<number, TableRanges>;
  /** Requests at work. */
  users: number;
}

const open = new Map<string, OpenSnapshot>();
let closing = false;

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
  const rows = db.prepare('SELECT id, schema FROM tidemark_table').all() as { id: number; schema: string }[];
  const tables = new Map(
    rows.map(({ id, schema }) => [id, new TableRanges(db, TableSchema.parse(JSON.parse(schema)))] as const),
  );
  const opened = { db, tables, users: 0 };
  open.set(file, opened);
  return opened;
}

function tableOf({ tables }: OpenSnapshot, { table: id, range }: RowsRequest['asks'][number]): TableRanges {
  const table = tables.get(id);
  if (!table) throw new TidemarkError('request_invalid', { detail: `table: the snapshot has no table ${id}` });
  table.require(range);
  return table;
}

function goOn(): void {
  if (closing) throw new TidemarkError('cancelled');
}

async function digests(at: OpenSnapshot, asks: Extract<CompareRequest, { kind: 'digests' }>['asks']): Promise<string> {
  const answers: DigestPart[][] = [];
  for (const ask of asks) answers.push(await runCooperatively(tableOf(at, ask).split(ask.range, ask.parts), goOn));
  return JSON.stringify({ answers });
}

/** As many rows as fit one answer, and where the next one goes on. */
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

async function answer(request: CompareRequest): Promise<Uint8Array> {
  goOn();
  const at = snapshot(request.file);
  at.users++;
  try {
    return request.kind === 'digests' ? Buffer.from(await digests(at, request.asks)) : rows(at, request.asks);
  } finally {
    at.users--;
    endIfDone();
  }
}

function endIfDone(): void {
  if (!closing || [...open.values()].some(({ users }) => users > 0)) return;
  for (const { db } of open.values()) db.close();
  open.clear();
  port?.close();
}

port.on('message', (request: CompareRequest | typeof CLOSE) => {
  if (request === CLOSE) {
    closing = true;
    return endIfDone();
  }
  answer(request).then(
    (bytes) => port.postMessage({ id: request.id, ok: true, bytes } satisfies CompareReply),
    (error: unknown) => {
      const { code, params, stack } = asTidemarkError(error);
      port.postMessage({
        id: request.id,
        ok: false,
        fault: { code, params, detail: stack ?? '' },
      } satisfies CompareReply);
    },
  );
});
