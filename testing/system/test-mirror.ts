import { createHash } from 'node:crypto';
import path from 'node:path';
import { seq } from '@tidemark/protocol/cursor';
import { type ChangeLine, changesIn, type WireRow } from '@tidemark/protocol/lines';
import type { ColumnType, TableSchema } from '@tidemark/protocol/schema';
import type { SnapshotName } from '@tidemark/replica/checked-snapshot';
import { FeedTables } from '@tidemark/table-store/feed-tables';
import { ownQuery, RAW_ROW } from '@tidemark/table-store/query';
import { toWire } from '@tidemark/table-store/row-statements';
import { type BuiltSnapshot, buildSnapshot, type SnapshotSource } from '@tidemark/table-store/snapshot';
import { ident, openWriter, type Reader, type Writer } from '@tidemark/table-store/sqlite';

/**
 * A relay's mirror without a relay, for tests of a replica. It builds the pages and snapshots that a relay would serve.
 *
 * Tests commit change lines. The mirror applies them to its own tables, which are the expected result, and keeps the
 * lines as its log. Pages have no scopes: every table goes to every replica.
 */

export const EPOCH = 'abcdefgh';
const AT = '2026-11-23T08:00:00.000000Z';

export const schemaOf = (
  name: string,
  columns: Record<string, ColumnType>,
  key: string[],
  more: Partial<TableSchema> = {},
): TableSchema => ({
  name,
  columns: Object.entries(columns).map(([column, type]) => ({ name: column, type, source: type })),
  key,
  ...more,
});

/** Returns all rows of a table in wire format, in no particular order. */
export function rowsOf(db: Writer | Reader, table: string): WireRow[] {
  const rows = ownQuery(db, `SELECT * FROM ${ident(table)}`, RAW_ROW).all();
  return rows.map((row) => row.map(toWire));
}

export const sorted = (rows: WireRow[]) => rows.map((row) => JSON.stringify(row)).sort();

/** The mirror's log begins at seq 2, because seq 1 is the empty base copy. */
export class TestMirror {
  readonly folder: string;
  readonly db: Writer;
  readonly tables: FeedTables;
  readonly #schemas = new Map<number, TableSchema>();
  readonly #log: { ids: number[]; lines: ChangeLine[] }[] = [];

  constructor(folder: string) {
    this.folder = folder;
    this.db = openWriter(path.join(folder, 'mirror.sqlite'), { synchronous: 'normal' });
    this.tables = new FeedTables(this.db);
    this.db.exec('CREATE TABLE feed (seq INTEGER NOT NULL); INSERT INTO feed VALUES (1)');
  }

  get head(): number {
    return this.#log.length + 1;
  }

  declare(id: number, schema: TableSchema): void {
    this.#schemas.set(id, schema);
  }

  /** Commits one transaction. */
  commit(...lines: ChangeLine[]): void {
    const ids: number[] = [];
    for (const line of lines) {
      const schema = line[0] === 'x' ? undefined : this.#schemas.get(line[1]);
      if (schema && line[0] !== 'x') {
        this.tables.declare(line[1], schema, line[0] !== 'a');
        ids.push(line[1]);
      }
      this.tables.apply(line);
    }
    this.tables.saveCounts();
    this.#log.push({ ids, lines });
    this.db.prepare('UPDATE feed SET seq = ?').run(this.head);
  }

  /** Returns the page from `from` to the head. */
  page(from: number, scopes = 'all'): Buffer {
    const lines: unknown[] = [
      { tidemark: 1, feed: 'shop', epoch: EPOCH, scopes, start: { seq: from, part: 0 }, target: this.head },
    ];
    const some = this.#log.slice(from - 1);
    for (const id of new Set(some.flatMap(({ ids }) => ids))) lines.push(['s', id, this.#schemas.get(id)]);
    let changes = 0;
    some.forEach((transaction, n) => {
      const own = transaction.lines.reduce((sum, line) => sum + changesIn(line), 0);
      changes += own;
      lines.push(['b', from + n + 1, AT], ...transaction.lines, ['c', from + n + 1, own]);
    });
    const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    const sha256 = createHash('sha256').update(body).digest('hex');
    return Buffer.from(`${body}${JSON.stringify({ next: { seq: this.head, part: 0 }, changes, sha256 })}\n`);
  }

  /** Builds a snapshot at the head. */
  snapshot(
    tables: SnapshotSource['tables'] = {},
    scopes = 'all',
  ): { file: string; name: SnapshotName; built: BuiltSnapshot } {
    const file = path.join(this.folder, `snapshot-${this.head}-${process.hrtime.bigint()}.sqlite`);
    const cursorSql = `SELECT '${EPOCH}' AS epoch, seq, '${AT}' AS committed_at FROM mirror.feed`;
    const built = buildSnapshot({ mirror: this.db.name, feed: 'shop', scopes, cursorSql, tables }, file);
    return { file, name: { feed: 'shop', cursor: { epoch: built.cursor.epoch, seq: seq(this.head) } }, built };
  }
}
