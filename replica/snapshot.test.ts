import { rmSync } from 'node:fs';
import path from 'node:path';
import { openReader } from '@tidemark/table-store/sqlite';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { EPOCH, rowsOf, schemaOf, sorted, TestMirror } from '@tidemark/testing/test-mirror';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CheckedSnapshot } from './checked-snapshot.ts';
import { Replica } from './replica.ts';

let folder: string;
let mirror: TestMirror;
beforeEach(() => {
  folder = temporaryFolder('snapshot');
  mirror = new TestMirror(folder);
  mirror.declare(1, schemaOf('sale', { id: 'integer', branch: 'integer', amount: 'numeric', note: 'text' }, ['id']));
  mirror.declare(2, schemaOf('branch', { id: 'integer', region: 'text' }, ['id']));
  mirror.declare(3, schemaOf('visit', { branch: 'integer', at: 'text' }, []));
  mirror.declare(4, schemaOf('secret', { id: 'integer' }, ['id']));
  mirror.commit(
    [
      'i',
      1,
      [
        [1, 7, 1.5, 'a'],
        [2, 8, 2, 'b'],
        [3, 9, null, null],
        [4, 7, 4, 'd'],
      ],
    ],
    [
      'i',
      2,
      [
        [7, 'north'],
        [8, 'north'],
        [9, 'south'],
      ],
    ],
    [
      'i',
      3,
      [
        [7, 'x'],
        [7, 'x'],
        [9, 'x'],
      ],
    ],
    ['i', 4, [[1]]],
  );
});
afterEach(() => {
  mirror.db.close();
  rmSync(folder, { recursive: true, force: true });
});

test.each(['file', 'rows'])(
  'S8: a snapshot contains only the selected rows, columns and indexes (installed as %s)',
  (taken) => {
    const north = 'EXISTS (SELECT 1 FROM mirror.branch b WHERE b.id = sale.branch AND b.region = ?)';
    const { file, name, built } = mirror.snapshot(
      {
        sale: {
          columns: ['id', 'branch', 'amount'],
          where: north,
          params: ['north'],
          indexes: [['branch'], ['amount', 'id']],
        },
        visit: { columns: null, where: '"branch" = ?', params: [7], indexes: [['at']] },
        secret: null,
      },
      'north7',
    );
    expect(built.tables.map(({ id, name, rows }) => [id, name, rows])).toEqual([
      [2, 'branch', 3],
      [1, 'sale', 3],
      [3, 'visit', 2],
    ]);
    const replica = Replica.open(path.join(folder, 'branch.sqlite'), 'shop');
    try {
      if (taken === 'rows') {
        const first = mirror.snapshot();
        replica.installSnapshot(CheckedSnapshot.check(first.file, first.name));
      }
      replica.installSnapshot(CheckedSnapshot.check(file, name));
      expect(replica.cursorState()).toMatchObject({ cursor: { epoch: EPOCH, seq: 2 }, scopes: 'north7' });
      expect(replica.alteredTables()).toEqual([]);
      expect(replica.tables()).toEqual([
        { name: 'branch', rows: 3 },
        { name: 'sale', rows: 3 },
        { name: 'visit', rows: 2 },
      ]);
      const db = openReader(replica.file);
      expect(sorted(rowsOf(db, 'sale'))).toEqual(
        sorted([
          [1, 7, 1.5],
          [2, 8, 2],
          [4, 7, 4],
        ]),
      );
      expect(sorted(rowsOf(db, 'visit'))).toEqual(
        sorted([
          [7, 'x'],
          [7, 'x'],
        ]),
      );
      const indexes = db.prepare(
        "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index' AND name LIKE 'tidemark%' ORDER BY name",
      );
      expect(indexes.raw().all()).toEqual([
        ['tidemark_all_3', 'visit'],
        ['tidemark_index_1_0', 'sale'],
        ['tidemark_index_1_1', 'sale'],
        ['tidemark_index_3_0', 'visit'],
        ['tidemark_run_started', 'tidemark_run'],
      ]);
      db.close();
    } finally {
      replica.close();
    }
  },
);
