import { rmSync } from 'node:fs';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { ChangeLine } from '@tidemark/protocol/lines';
import { LINE_BYTES, PROTOCOL_VERSION } from '@tidemark/protocol/page';
import { TableSchema } from '@tidemark/protocol/schema';
import { guard, openReader, type Reader } from '@tidemark/table-store/sqlite';
import { logEntries } from '../log/log-reader.ts';
import { type Filters, Router } from '../routing/filters.ts';
import type { Compacted, CompactionRange, CompactionSource } from './compaction-calls.ts';
import { NetRows } from './net-rows.ts';
import { PageFile } from './page-file.ts';

/** Squashed pages are worth their build when they weigh less than this part of what they stand for. */
const WORTH = 0.8;
const NEWLINE = 0x0a;

interface Table {
  schema: TableSchema;
  line: Buffer;
}

interface Replayed {
  bytes: number;
  /** Commit time of the last transaction; null: there is none. */
  committedAt: string | null;
}

/**
 * Builds the pages that bring a terminal from `start` to `target` by one transaction that holds each row once, into
 * `file`. The same range gives the same bytes. Null: they would not be smaller, or the range changes tables and not
 * only rows. Memory is bounded: what is compared is kept in a file beside it. Throws epoch_changed, behind_horizon,
 * disk_full, db_*.
 */
export function compact(source: CompactionSource, file: string): Compacted | null {
  const scratch = `${file}.rows`;
  rmSync(scratch, { force: true });
  const db = openReader(source.file);
  try {
    return guard(file, () => {
      const rows = new NetRows(scratch);
      try {
        return compactRange(db, source, rows, file);
      } finally {
        rows.close();
      }
    });
  } finally {
    db.close();
    rmSync(scratch, { force: true });
  }
}

function compactRange(db: Reader, source: CompactionSource, rows: NetRows, file: string): Compacted | null {
  // One moment of the log: retention goes on meanwhile.
  db.exec('BEGIN');
  requireRange(db, source);
  const tables = readTables(db, source.filters);
  const replayed = replay(db, source, tables, rows);
  if (!replayed?.committedAt) return null;
  return write(source, file, tables, rows, { ...replayed, committedAt: replayed.committedAt });
}

function requireRange(db: Reader, { epoch, start }: CompactionRange): void {
  const feed = db.prepare('SELECT epoch, horizon FROM tidemark_feed').get() as { epoch: string; horizon: number };
  if (feed.epoch !== epoch) throw new TidemarkError('epoch_changed');
  if (start < feed.horizon) throw new TidemarkError('behind_horizon');
}

/** Every version of the tables, as terminals have them. */
function readTables(db: Reader, filters: Filters): Map<number, Table> {
  const rows = db.prepare('SELECT id, schema FROM tidemark_schema').all() as { id: number; schema: string }[];
  return new Map(
    rows.map(({ id, schema: text }) => {
      const given = TableSchema.parse(JSON.parse(text));
      const { schema } = new Router(given, filters[given.name], []);
      return [id, { schema, line: Buffer.from(`${JSON.stringify(['s', id, schema])}\n`) }];
    }),
  );
}

/** Takes the range's lines into `rows`; null when one of them changes a table and not only rows. */
function replay(db: Reader, range: CompactionRange, tables: Map<number, Table>, rows: NetRows): Replayed | null {
  const replayed: Replayed = { bytes: 0, committedAt: null };
  for (const { body, committedAt } of logEntries(db, range.scopes, { seq: range.start, part: 0 }, range.target)) {
    replayed.bytes += body.length;
    replayed.committedAt = committedAt;
    for (let from = 0; from < body.length; ) {
      const end = body.indexOf(NEWLINE, from);
      const line = JSON.parse(body.toString('utf8', from, end)) as ChangeLine;
      const table = line[0] === 'x' ? undefined : tables.get(line[1]);
      if (!table || !rows.take(line, table.schema)) return null;
      from = end + 1;
    }
  }
  return replayed;
}

function write(
  { feed, epoch, set, start, target }: CompactionSource,
  file: string,
  tables: Map<number, Table>,
  rows: NetRows,
  replayed: { bytes: number; committedAt: string },
): Compacted | null {
  const most = replayed.bytes * WORTH;
  const schemaLine = (id: number) => tables.get(id)?.line ?? Buffer.alloc(0);
  const pages = new PageFile(file, { tidemark: PROTOCOL_VERSION, feed, epoch, scopes: set, target }, start, schemaLine);
  try {
    pages.begin(replayed.committedAt);
    for (const { id, bytes, changes } of linesOf(rows)) {
      pages.add(id, bytes, changes);
      if (pages.bytes >= most) return null;
    }
    pages.commit();
    const { ends, changes, bytes } = pages;
    return bytes < most ? { ends, changes, bytes } : null;
  } finally {
    pages.close();
  }
}

interface Line {
  id: number;
  bytes: Buffer;
  changes: number;
}

function* linesOf(rows: NetRows): Generator<Line> {
  for (const { id, truncated } of rows.tables()) {
    let lines = 0;
    const line = (text: string, changes: number): Line => {
      lines++;
      return { id, bytes: Buffer.from(`${text}\n`), changes };
    };
    if (truncated) yield line(`["t",${id}]`, 1);
    for (const { kind, rows: net } of rows.changes(id))
      for (const some of bySize(net)) yield line(`["${kind}",${id},[${some.join(',')}]]`, some.length);
    // A table whose rows came and went stands there all the same when the range is replayed.
    if (lines === 0) yield line(`["i",${id},[]]`, 0);
  }
}

/** Rows by the line: one is closed when it passes LINE_BYTES. */
function* bySize(rows: Iterable<string>): Generator<string[]> {
  let some: string[] = [];
  let size = 0;
  for (const row of rows) {
    some.push(row);
    size += row.length;
    if (size < LINE_BYTES) continue;
    yield some;
    some = [];
    size = 0;
  }
  if (some.length > 0) yield some;
}
