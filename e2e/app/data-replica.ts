import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { ensureFormat } from '@tidemark/table-store/format';
import { ident, openWriter, type Writer } from '@tidemark/table-store/sqlite';
import { storedForm } from '@tidemark/table-store/stored-schema';
import { createTableSql } from '@tidemark/table-store/table-ddl';
import { saveTableList } from '@tidemark/table-store/table-list';
import type { Preset } from './app.ts';

/** Replicas with chosen tables, for tests of the data screen. Their relay is not reachable. */

export const column = (name: string, type: ColumnSchema['type'], rest: Partial<ColumnSchema> = {}): ColumnSchema => ({
  name,
  type,
  source: type,
  ...rest,
});

export interface DataFolder {
  /** The data folder for the app. */
  folder: string;
  preset: Preset;
  /** The replica. The test closes it. */
  db: Writer;
  addTable(schema: TableSchema, rows: number, values: string): void;
  addSmallTables(count: number): void;
}

/** Creates the data folder of a PC with a replica that has no tables yet. */
export function dataFolder(): DataFolder {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-app-'));
  mkdirSync(path.join(folder, 'replicas'));
  const tokenFile = path.join(folder, 'branch.token');
  writeFileSync(tokenFile, 'a-key-of-this-test\n', { mode: 0o600 });
  const db = openWriter(path.join(folder, 'replicas/shop.sqlite'), { synchronous: 'normal' });
  ensureFormat(db, 'shop');
  db.prepare("UPDATE tidemark_meta SET epoch = 'epoch0000', seq = 42, committed_at = ?, scopes = 'all'").run(
    new Date(Date.now() - 3_600_000).toISOString(),
  );
  let id = 0;
  const addTable: DataFolder['addTable'] = (schema, rows, values) => {
    id++;
    db.exec(createTableSql(schema));
    if (rows > 0)
      db.exec(
        `INSERT INTO ${ident(schema.name)} WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < ${rows}) SELECT ${values} FROM r`,
      );
    db.prepare('INSERT INTO tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, ?)').run(
      BigInt(id),
      schema.name,
      storedForm(schema),
      BigInt(rows),
    );
    saveTableList(db);
  };
  return {
    folder,
    preset: { relayUrl: 'http://127.0.0.1:9', feed: 'shop', tokenFile, everyMinutes: 0 },
    db,
    addTable,
    addSmallTables(count) {
      for (let i = 0; i < count; i++)
        addTable({ name: `archive_${i}`, columns: [column('id', 'integer')], key: ['id'] }, 0, '');
    },
  };
}
