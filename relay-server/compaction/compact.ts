import { rmSync } from 'node:fs';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { ChangeLine } from '@tidemark/protocol/lines';
import { LINE_BYTES, PROTOCOL_VERSION } from '@tidemark/protocol/page';
import type { TableSchema } from '@tidemark/protocol/schema';
import { INTEGER, query, row, TEXT } from '@tidemark/table-store/query';
import { guard, openReader, type Reader } from '@tidemark/table-store/sqlite';
import { requireStoredSchema } from '@tidemark/table-store/stored-schema';
import { logEntries } from '../log/log-reader.ts';
import type { Filters } from '../routing/filters.ts';
import { Router } from '../routing/router.ts';
import type { Compacted, CompactionRange, CompactionSource } from './compaction-calls.ts';
import { NetRows } from './net-rows.ts';
import { PageFile } from './page-file.ts';

/**
 * Compacts a range of the log: replays it into a scratch file that keeps each row once, then writes the result as pages
 * of one transaction. The same range always produces the same bytes, so that a terminal can resume with pages of
 * another build. Memory use does not depend on the range. One SQLite transaction reads the log, because retention may
 * run meanwhile.
 */

/** Compacted pages are kept only if they are smaller than this fraction of the pages that they replace. */
const MAX_RATIO = 0.8;
const NEWLINE = 0x0a;

const POSITION = row({ epoch: TEXT, horizon: INTEGER });
const STORED_SCHEMA = row({ id: INTEGER, schema: TEXT });

/** A version of a table's schema at terminals. */

interface Table {
  schema: TableSchema;
  line: Buffer;
}

interface Replayed {
  bytes: number;
  /** Commit time of the last transaction; null if the range has none. */
  committedAt: string | null;
}

/**
 * Writes the pages to `file`, and scratch data to the same folder. Returns null if the pages would hardly be smaller,
 * or if the range contains a line that {@link NetRows} rejects. Throws epoch_changed, behind_horizon, disk_full, db_*.
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
  db.exec('BEGIN');
  requireRange(db, source);
  const tables = readTables(db, source.filters);
  const replayed = replay(db, source, tables, rows);
  if (!replayed?.committedAt) return null;
  return write(source, file, tables, rows, { ...replayed, committedAt: replayed.committedAt });
}

function requireRange(db: Reader, { epoch, start }: CompactionRange): void {
  const feed = query(db, 'SELECT epoch, horizon FROM tidemark_feed', POSITION).one();
  if (feed.epoch !== epoch) throw new TidemarkError('epoch_changed');
  if (start < feed.horizon) throw new TidemarkError('behind_horizon');
}

/** Returns every version of the feed's tables, by table id. */
function readTables(db: Reader, filters: Filters): Map<number, Table> {
  const rows = query(db, 'SELECT id, schema FROM tidemark_schema', STORED_SCHEMA).all();
  return new Map(
    rows.map(({ id, schema: text }) => {
      const given = requireStoredSchema(db, text);
      const { schema } = new Router(given, filters[given.name], []);
      return [id, { schema, line: Buffer.from(`${JSON.stringify(['s', id, schema])}\n`) }];
    }),
  );
}

/** Replays the range into `rows`. Returns null if {@link NetRows} rejects a line. */
function replay(db: Reader, range: CompactionRange, tables: Map<number, Table>, rows: NetRows): Replayed | null {
  const replayed: Replayed = { bytes: 0, committedAt: null };
  for (const { body, committedAt } of logEntries(db, range.scopes, { seq: range.start, part: 0 }, range.target)) {
    replayed.bytes += body.length;
    replayed.committedAt = committedAt;
    for (let from = 0; from < body.length; ) {
      const end = body.indexOf(NEWLINE, from);
      const line = JSON.parse(body.toString('utf8', from, end)) as ChangeLine;
      const table = line[0] === 'x' ? undefined : tables.get(line[1]);
      if (!table || !rows.addLine(line, table.schema)) return null;
      from = end + 1;
    }
  }
  return replayed;
}

/** Writes the net rows as pages. Stops and returns null as soon as the pages turn out to be hardly smaller. */
function write(
  { feed, epoch, set, start, target }: CompactionSource,
  file: string,
  tables: Map<number, Table>,
  rows: NetRows,
  replayed: { bytes: number; committedAt: string },
): Compacted | null {
  const most = replayed.bytes * MAX_RATIO;
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

/** Yields the net rows as lines. The order for each table is truncate, deletes, updates, inserts. */
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
    // A replay would create the table even if the range later deletes all of its rows.
    if (lines === 0) yield line(`["i",${id},[]]`, 0);
  }
}

/** Splits rows into lines. A line ends with the row that makes it exceed LINE_BYTES. */
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
