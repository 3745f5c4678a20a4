import { existsSync } from 'node:fs';
import { HEADERS } from '@tidemark/protocol/api';
import type { BatchLine } from '@tidemark/protocol/lines';
import type { Run } from '@tidemark/protocol/run';
import type { TableSchema } from '@tidemark/protocol/schema';
import { Replica } from '@tidemark/replica/replica';
import { Branch } from '@tidemark/testing/branch';
import { run as command, start, until } from '@tidemark/testing/processes';
import { batchOf, ITEM, position } from '@tidemark/testing/test-relay';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const AT = '2026-11-23T08:00:00.000000Z';
const column = (name: string, type: TableSchema['columns'][number]['type']) => ({ name, type, source: type });
const PRICE: TableSchema = {
  name: 'price',
  columns: [column('shop', 'text'), column('item', 'integer'), column('amount', 'numeric'), column('photo', 'blob')],
  key: ['shop', 'item'],
};
const NOTE: TableSchema = { name: 'note', columns: [column('text', 'text'), column('n', 'integer')], key: [] };

/** Sends a base copy of the tables item, price and note. */
async function tables({ relay }: Branch, rows = 300): Promise<void> {
  await relay.session();
  const ids = Array.from({ length: rows }, (_, i) => i + 1);
  const photo = (id: number) => (id % 3 === 0 ? null : Buffer.from([id % 256, 0]).toString('base64'));
  await relay.send(
    batchOf([
      ['s', 1, ITEM],
      ['s', 2, PRICE],
      ['s', 3, NOTE],
      ['B', position(1), AT, 'test'],
      ['i', 1, ids.map((id) => [id, `item ${id}`])],
      ['i', 2, ids.map((id) => [`shop ${id % 7}`, id, id / 8, photo(id)])],
      ['i', 3, ids.map((id) => [`note ${id % 40}`, id % 3])],
      ['c', 3 * rows],
    ]),
  );
}

const found = (run: Run) =>
  run.differences?.map(({ table, missing, extra, different }) => [table, missing, extra, different]);

describe('a replica that another program altered', () => {
  let branch: Branch;
  let before: Record<string, unknown[]>;
  beforeAll(async () => {
    branch = await Branch.start();
    await tables(branch);
    before = await branch.synced();
    branch.keep();
  });
  afterAll(() => branch.stop());
  beforeEach(() => branch.restore());

  test.each<[string, string, [string, number, number, number][]]>([
    ['one changed byte', "UPDATE item SET name = 'item 1O' WHERE id = 10", [['item', 0, 0, 1]]],
    [
      'rows missing, extra and different',
      `DELETE FROM item WHERE id IN (1, 150, 300); INSERT INTO item VALUES (-5, 'x'), (999, 'y');
       UPDATE item SET name = NULL WHERE id = 7; DELETE FROM price WHERE item > 290`,
      [
        ['item', 3, 2, 1],
        ['price', 10, 0, 0],
      ],
    ],
    [
      'values of another storage class',
      `UPDATE price SET amount = CAST(amount AS TEXT) || 'x' WHERE item = 3;
       UPDATE price SET photo = CAST('ab' AS TEXT) WHERE item = 4`,
      [['price', 0, 0, 2]],
    ],
    [
      'a key of another storage class',
      'UPDATE price SET shop = CAST(shop AS BLOB) WHERE item = 3',
      [['price', 1, 1, 0]],
    ],
    [
      'changed rows of a table without a key',
      "DELETE FROM note WHERE rowid IN (1, 2); INSERT INTO note VALUES ('note 3', 0), ('mine', NULL)",
      [['note', 2, 2, 0]],
    ],
    [
      'tables without their rows',
      'DELETE FROM item; DELETE FROM note',
      [
        ['item', 300, 0, 0],
        ['note', 300, 0, 0],
      ],
    ],
    ['a dropped table', 'DROP TABLE price', [['price', 300, 0, 0]]],
    [
      'a replaced table',
      "DROP TABLE price; CREATE TABLE price (shop); INSERT INTO price VALUES ('mine')",
      [['price', 300, 1, 0]],
    ],
    ['an added column', 'ALTER TABLE item ADD COLUMN mine TEXT', [['item', 300, 300, 0]]],
    ['a dropped column', 'ALTER TABLE price DROP COLUMN photo', [['price', 300, 300, 0]]],
    [
      'a table re-created with a check',
      `CREATE TABLE other (id INTEGER PRIMARY KEY NOT NULL, name TEXT CHECK (name <> 'mine'));
       INSERT INTO other SELECT * FROM item; DROP TABLE item; ALTER TABLE other RENAME TO item`,
      [['item', 300, 300, 0]],
    ],
    [
      'a trigger that writes other values',
      `CREATE TRIGGER mine AFTER INSERT ON item BEGIN UPDATE item SET name = 'mine' WHERE id = NEW.id; END;
       DELETE FROM item WHERE id = 5`,
      [['item', 1, 0, 0]],
    ],
    [
      'a trigger that rejects changes',
      `UPDATE item SET name = 'x' WHERE id = 5;
       CREATE TRIGGER mine BEFORE INSERT ON item BEGIN SELECT RAISE(ABORT, 'mine'); END`,
      [['item', 0, 0, 1]],
    ],
    [
      'a unique index that the rows violate',
      'UPDATE note SET text = rowid, n = 0; CREATE UNIQUE INDEX mine ON note (text)',
      [['note', 300, 300, 0]],
    ],
    ['wrong row counts', 'UPDATE tidemark_table SET rows = 7', []],
    ['a missing index of the terminal', 'DROP INDEX tidemark_all_3', []],
    [
      'an index of the terminal on another table',
      'DROP INDEX tidemark_all_3; CREATE INDEX tidemark_all_3 ON item (name)',
      [],
    ],
  ])('C5: finds, counts and repairs %s', async (_, sql, differences) => {
    branch.tamper(sql);
    const verified = await branch.run('verify');
    expect(verified).toMatchObject({ outcome: 'done', fault: null, snapshot: null });
    expect(found(verified)).toEqual(differences);
    expect(branch.dump()).toEqual(before);
    expect(branch.all('SELECT rows FROM tidemark_table')).toEqual([[300], [300], [300]]);
    expect(branch.all("SELECT tbl_name FROM sqlite_schema WHERE name LIKE 'tidemark_all%'")).toEqual([['note']]);
    expect(branch.all('PRAGMA integrity_check')).toEqual([['ok']]);
    const again = await branch.run('verify');
    expect(again).toMatchObject({ outcome: 'done', differences: [], inserted: 0, updated: 0, deleted: 0 });
  });

  test('C5: writes nothing when nothing differs, and keeps objects of other programs when it repairs rows', async () => {
    branch.tamper(
      'CREATE INDEX mine ON item (name)',
      'CREATE TABLE my_table (n)',
      'CREATE TRIGGER kept AFTER UPDATE ON item BEGIN SELECT 1; END',
    );
    // The first write of a repair removes this index.
    branch.tamper('CREATE TRIGGER watched BEFORE UPDATE ON tidemark_meta BEGIN SELECT 1; END');
    const watched = () => branch.all("SELECT name FROM sqlite_schema WHERE name = 'watched'");
    expect(await branch.run('verify')).toMatchObject({ outcome: 'done', differences: [] });
    expect(watched()).toHaveLength(1);
    branch.tamper("UPDATE item SET name = 'x' WHERE id = 1");
    expect(found(await branch.run('verify'))).toEqual([['item', 0, 0, 1]]);
    const objects = "SELECT name FROM sqlite_schema WHERE name IN ('mine', 'my_table', 'kept') ORDER BY 1";
    expect(branch.all(objects)).toEqual([['kept'], ['mine'], ['my_table']]);
    expect(watched()).toHaveLength(0);
  });

  test('the command lists the differences by table, repairs them, and reports them in its exit code', async () => {
    branch.tamper("UPDATE item SET name = 'x' WHERE id < 4", 'DELETE FROM price WHERE item = 9');
    const shown = await command('terminal', [...branch.args('verify'), '--no-repair']);
    expect(shown.stderr).toMatch(
      /^replica_differs: Data on this PC differs from the sync server: 4 rows in item, price\./,
    );
    expect(shown).toMatchObject({ code: 1 });
    expect(shown.stdout).toContain('item: 0 missing, 0 extra, 3 different\nprice: 1 missing, 0 extra, 0 different\n');
    const repaired = await command('terminal', branch.args('verify'));
    expect(repaired).toMatchObject({ code: 0, stderr: '' });
    expect(repaired.stdout).toBe(
      'item: 0 missing, 0 extra, 3 different\nprice: 1 missing, 0 extra, 0 different\nRepaired 4 rows in 2 tables.\nAll 900 rows in 3 tables equal the relay at position 1.\n',
    );
    const equal = await command('terminal', [...branch.args('verify'), '--json', '--no-repair']);
    expect(equal.code).toBe(0);
    expect(JSON.parse(equal.stdout)).toMatchObject({ mode: 'verify', outcome: 'done', differences: [] });
  });

  test('C1: an invalid request is refused with the name of the field', async () => {
    const { epoch } = branch;
    const ask = async (kind: string, body: unknown, scopes = 'all', seq = 1) => {
      const answer = await fetch(`${branch.relay.url}/v1/feeds/shop/snapshots/${epoch}/${scopes}/${seq}/${kind}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${branch.relay.token('terminal')}`, [HEADERS.protocol]: '1' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      const { code, params } = (await answer.json()) as { code: string; params: { detail?: string } };
      return [code, params.detail];
    };
    const range = { after: null, upto: null };
    const asks = (more: object) => ({ asks: [{ table: 1, range, parts: 1, ...more }] });
    expect(await ask('digests', 'no JSON')).toEqual(['request_invalid', 'the body is not JSON']);
    expect(await ask('digests', asks({ parts: 257 }))).toEqual([
      'request_invalid',
      expect.stringMatching(/^asks\.0\.parts: /),
    ]);
    expect(await ask('digests', { asks: [] })).toEqual(['request_invalid', expect.stringMatching(/^asks: /)]);
    expect(await ask('digests', asks({ table: 99 }))).toEqual([
      'request_invalid',
      expect.stringMatching(/^table: .*99/),
    ]);
    expect(await ask('rows', asks({ range: { after: [1, 2], upto: null } }))).toEqual([
      'request_invalid',
      expect.stringMatching(/^range\.after: a key of item has 1 /),
    ]);
    expect(await ask('rows', asks({ table: 3, range: { after: ['x'], upto: null } }))).toEqual([
      'request_invalid',
      expect.stringMatching(/^range: note has no key/),
    ]);
    expect(await ask('rows', 'x'.repeat(1024 * 1024 + 1))).toEqual(['body_too_large', undefined]);
    expect(await ask('digests', asks({}), 'other')).toEqual(['scope_denied', undefined]);
    expect(await ask('digests', asks({}), 'all', 77)).toEqual(['snapshot_gone', undefined]);
  });
});

describe('a comparison', () => {
  let branch: Branch;
  beforeEach(async () => {
    branch = await Branch.start();
  });
  afterEach(() => branch.stop());

  test('C6: pulls up to the snapshot first, so that the backlog is not a difference', async () => {
    await branch.relay.base(500);
    await branch.synced();
    await branch.relay.commit('u', [[1, 'two']]);
    expect((await branch.run('now')).outcome).toBe('done');
    await branch.relay.commit('u', [
      [1, 'three'],
      [2, 'three'],
    ]);
    branch.tamper("UPDATE item SET name = 'mine' WHERE id = 9");
    const verified = await branch.run('verify', { giveUpAfterMs: 30_000 });
    expect(verified).toMatchObject({ outcome: 'done', snapshot: null });
    expect(found(verified)).toEqual([['item', 0, 0, 1]]);
    expect(branch.all('SELECT name FROM item WHERE id IN (1, 2, 9)')).toEqual([['three'], ['three'], ['item 9']]);
    expect(branch.seq).toBe(3);
  });

  test.each<[string, string]>([
    ['drops a table', 'DROP TABLE item'],
    ['renames a column', 'ALTER TABLE item RENAME COLUMN name TO mine'],
    ['replaces a table', 'DROP TABLE item; CREATE TABLE item (id, name, mine)'],
    ['rejects rows with a trigger', "CREATE TRIGGER mine BEFORE INSERT ON item BEGIN SELECT RAISE(ABORT, 'mine'); END"],
    [
      're-creates a table with a check',
      `CREATE TABLE other (id INTEGER PRIMARY KEY NOT NULL, name TEXT CHECK (name <> 'newest'));
       INSERT INTO other SELECT * FROM item; DROP TABLE item; ALTER TABLE other RENAME TO item`,
    ],
  ])('C7: repairs the replica and fails no pull when another program %s between pulls', async (_, sql) => {
    await branch.relay.base(300);
    await branch.synced();
    for (const named of ['newer', 'newest']) {
      await branch.relay.commit('u', [[1, named]]);
      branch.tamper(sql);
      const pulled = await branch.run('now', { giveUpAfterMs: 30_000 });
      expect(pulled).toMatchObject({ outcome: 'done', fault: null });
      expect(branch.all('SELECT id, name FROM item ORDER BY id LIMIT 2')).toEqual([
        [1, named],
        [2, 'item 2'],
      ]);
    }
    expect(branch.seq).toBe(3);
    expect(await branch.run('verify', { giveUpAfterMs: 30_000 })).toMatchObject({ outcome: 'done', differences: [] });
    // The same holds when there is nothing to pull.
    branch.tamper('DROP TABLE item');
    expect(await branch.run('now')).toMatchObject({ outcome: 'done', fault: null });
    expect(branch.all('SELECT count(*) FROM item')).toEqual([[300]]);
  });

  test("T1: leaves another program's view with a table's name alone, and recovers when the view is gone", async () => {
    await branch.relay.base(300);
    await branch.synced();
    branch.tamper('DROP TABLE item; CREATE TABLE mine (n); CREATE VIEW Item AS SELECT n FROM mine');
    for (const [mode, repair] of [
      ['now', true],
      ['verify', false],
      ['verify', true],
    ] as const) {
      await branch.relay.commit('u', [[1, 'newer']]);
      const clash = { code: 'name_clash', params: { table: 'item' } };
      expect((await branch.run(mode, { repair, giveUpAfterMs: 30_000 })).fault).toMatchObject(clash);
      expect(branch.all('SELECT n FROM Item')).toEqual([]);
      expect(branch.seq).toBe(1);
    }
    branch.tamper('DROP VIEW Item');
    expect(await branch.run('now', { giveUpAfterMs: 30_000 })).toMatchObject({ outcome: 'done', fault: null });
    expect(branch.all('SELECT id, name FROM item LIMIT 1')).toEqual([[1, 'newer']]);
    expect(branch.seq).toBe(4);
    // The view is no clash once head office has dropped the table.
    branch.tamper('DROP TABLE item; CREATE VIEW item AS SELECT n FROM mine');
    await branch.relay.send(
      batchOf([
        ['b', position(5), AT],
        ['x', 'item'],
        ['c', 1],
      ]),
    );
    expect(await branch.run('now', { giveUpAfterMs: 30_000 })).toMatchObject({ outcome: 'done', fault: null });
    expect(branch.all('SELECT n FROM item')).toEqual([]);
    expect(branch.seq).toBe(5);
  });

  test('C4: one changed byte in a million rows costs less than 100 kB over the wire', async () => {
    const rows = 1_000_000;
    await branch.relay.session();
    const lines: BatchLine[] = [
      ['s', 1, ITEM],
      ['B', position(1), AT, 'test'],
    ];
    const send = branch.relay.send;
    for (let from = 1; from <= rows; ) {
      for (let n = 0; n < 200 && from <= rows; n++, from += 500)
        lines.push(['i', 1, Array.from({ length: 500 }, (_, i) => [from + i, `item number ${from + i}`])]);
      if (from > rows) lines.push(['c', rows]);
      await send(batchOf(lines));
      lines.splice(0, lines.length, ['s', 1, ITEM]);
    }
    await branch.synced();
    const sum = () => branch.all('SELECT count(*), sum(id), count(DISTINCT name) FROM item');
    const before = sum();
    branch.tamper("UPDATE item SET name = 'item number 654320' WHERE id = 654321");
    branch.wire.bytes = 0;
    const verified = await branch.run('verify');
    expect(verified).toMatchObject({ outcome: 'done' });
    expect(found(verified)).toEqual([['item', 0, 0, 1]]);
    expect(branch.all('SELECT name FROM item WHERE id = 654321')).toEqual([['item number 654321']]);
    expect(sum()).toEqual(before);
    expect(branch.wire.bytes).toBeLessThan(100_000);
    expect(branch.wire.bytes).toBeGreaterThan(verified.bytes);
  });

  test('C4: covers many tables, including small and empty ones', async () => {
    await branch.relay.session();
    const many = Array.from({ length: 150 }, (_, i): TableSchema => ({ ...ITEM, name: `t${i}` }));
    const rowsOf = (i: number) => Array.from({ length: 1 + (i % 100) }, (_, n) => [n, `row ${n}`]);
    await branch.relay.send(
      batchOf([
        ...many.map((schema, i): BatchLine => ['s', i + 1, schema]),
        ['B', position(1), AT, 'test'],
        ...many.map((_, i): BatchLine => ['i', i + 1, rowsOf(i)]),
        ['c', many.reduce((sum, _, i) => sum + rowsOf(i).length, 0)],
      ]),
    );
    await branch.relay.send(
      batchOf([
        ['s', 6, { ...ITEM, name: 't5' }],
        ['b', position(2), AT],
        ['t', 6],
        ['c', 1],
      ]),
    );
    await branch.synced();
    const before = branch.dump();
    branch.tamper(
      "INSERT INTO t5 VALUES (1, 'x')",
      'DELETE FROM t99 WHERE id = 3',
      "UPDATE t100 SET name = 'y' WHERE id = 0",
      'DROP TABLE t7',
    );
    const verified = await branch.run('verify', { giveUpAfterMs: 30_000 });
    expect(found(verified)).toEqual([
      ['t100', 0, 0, 1],
      ['t5', 0, 1, 0],
      ['t7', 8, 0, 0],
      ['t99', 1, 0, 0],
    ]);
    expect(branch.dump()).toEqual(before);
  });

  test('C8: takes a snapshot where it costs less than the rows, but never with --no-repair', async () => {
    await branch.relay.base(30_000, (n) => `item ${Math.sin(n)}`);
    await branch.synced();
    branch.tamper("UPDATE item SET name = 'x' || name WHERE id % 20 = 0");
    const shown = await branch.run('verify', { repair: false });
    expect(shown).toMatchObject({ outcome: 'failed', fault: { code: 'replica_differs', params: { rows: 1500 } } });
    expect(branch.all("SELECT count(*) FROM item WHERE name LIKE 'x%'")).toEqual([[1500]]);
    expect(await branch.run('verify')).toMatchObject({ outcome: 'done', snapshot: 'altered' });
    expect(branch.all("SELECT count(*) FROM item WHERE name LIKE 'x%'")).toEqual([[0]]);
    expect(await branch.run('verify')).toMatchObject({ outcome: 'done', differences: [] });
  });

  test('C8: with --no-repair, reports missing data and creates no file', async () => {
    await branch.relay.base(300);
    const shown = () => command('terminal', [...branch.args('verify'), '--no-repair']);
    const empty = {
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^replica_empty: There is no data on this PC yet/),
    };
    expect(await shown()).toMatchObject(empty);
    expect(existsSync(branch.database)).toBe(false);
    Replica.open(branch.database, 'shop').close();
    expect(await shown()).toMatchObject(empty);
    expect(branch.all('SELECT epoch FROM tidemark_meta')).toEqual([[null]]);
    await branch.synced();
    branch.tamper("UPDATE tidemark_meta SET epoch = 'aaaaaaaa'");
    expect((await branch.run('verify', { repair: false })).fault).toMatchObject({ code: 'epoch_changed' });
    expect(branch.epoch).toBe('aaaaaaaa');
    expect(await branch.run('verify', { giveUpAfterMs: 30_000 })).toMatchObject({ snapshot: 'epoch_changed' });
  });

  test('C8: fetches many rows in several answers', async () => {
    await branch.relay.base(60_000, (n) => `item ${Math.sin(n)} ${Math.cos(n)}`);
    const before = await branch.synced();
    branch.tamper('DELETE FROM item WHERE id > 30000', "INSERT INTO item VALUES (40000, 'x'), (70000, 'y')");
    branch.way.asked.length = 0;
    const verified = await branch.run('verify');
    expect(found(verified)).toEqual([['item', 29_999, 1, 1]]);
    expect(branch.way.asked.filter((url) => url.endsWith('/rows')).length).toBeGreaterThan(1);
    expect(branch.dump()).toEqual(before);
  });

  const LARGE = 60_000;
  const large = async () => {
    await branch.relay.base(LARGE, (n) => `item ${n}`);
    await branch.synced();
    branch.tamper("UPDATE item SET name = 'mine' WHERE id IN (5, 50000)");
  };
  const mine = () => branch.all("SELECT count(*) FROM item WHERE name = 'mine'");

  test('leaves the replica unchanged when it is cancelled or killed, and the next run repairs it', async () => {
    await large();
    let stages: string[] = [];
    const cancelled = await branch.run('verify', {
      each: (agent) => {
        const { phase } = agent.facts();
        if (phase.kind === 'syncing') stages.push(phase.progress.stage);
        if (phase.kind === 'syncing' && phase.progress.stage === 'comparing') agent.cancel();
      },
    });
    expect(cancelled.outcome).toBe('cancelled');
    expect(stages).toContain('comparing');
    expect(mine()).toEqual([[2]]);
    branch.way.trouble = { kind: 'slow', bytesPerSecond: 200 };
    branch.way.asked.length = 0;
    const killed = start('terminal', branch.args('verify'));
    await until(
      async () => branch.way.asked.some((url) => url.endsWith('/digests')),
      () => 'no comparison started',
    );
    await killed.stop('SIGKILL');
    expect(mine()).toEqual([[2]]);
    branch.way.trouble = { kind: 'none' };
    stages = [];
    expect(found(await branch.run('verify'))).toEqual([['item', 0, 0, 2]]);
    expect(mine()).toEqual([[0]]);
  });

  /** Runs a verify, and calls a function as soon as the comparison has started. */
  async function whileComparing(work: () => Promise<void>): Promise<Run> {
    branch.way.trouble = { kind: 'slow', bytesPerSecond: 200 };
    let began = false;
    const done = branch.run('verify', {
      giveUpAfterMs: 60_000,
      each: (agent) => {
        const { phase } = agent.facts();
        if (phase.kind !== 'syncing' || phase.progress.stage !== 'comparing') return;
        const { table, tableIndex, tableCount } = phase.progress;
        began ||= table === 'item' && tableIndex === 1 && tableCount === 1;
      },
    });
    await until(
      async () => began,
      () => 'no comparison started',
    );
    await work();
    branch.way.trouble = { kind: 'none' };
    return done;
  }

  test('starts again when the relay restarts', async () => {
    await large();
    const verified = await whileComparing(async () => {
      branch.way.trouble = { kind: 'cut' };
      await branch.relay.restart('{}', Date.now());
      branch.way.leadTo(branch.relay.url);
    });
    expect(verified).toMatchObject({ outcome: 'done', fault: null });
    expect(verified.retries).toBeGreaterThan(0);
    expect(found(verified)).toEqual([['item', 0, 0, 2]]);
    expect(mine()).toEqual([[0]]);
  });

  test('C1: starts again with the newer snapshot when its snapshot is replaced', async () => {
    await large();
    const verified = await whileComparing(async () => {
      await branch.relay.commit(
        'u',
        Array.from({ length: LARGE / 2 }, (_, i) => [i + 100, `newer ${Math.sin(i)}`]),
      );
      await until(
        async () => {
          const answer = await branch.relay.get('/v1/feeds/shop/snapshot');
          return answer.ok && ((await answer.json()) as { cursor: { seq: number } }).cursor.seq === 2;
        },
        () => 'the relay built no newer snapshot',
      );
    });
    expect(verified).toMatchObject({ outcome: 'done', fault: null });
    expect(verified.retries).toBeGreaterThan(0);
    expect(found(verified)).toEqual([['item', 0, 0, 2]]);
    expect(branch.seq).toBe(2);
  });

  test.each([
    ['cut', { kind: 'cut' }, 'relay_unreachable'],
    ['flipped bits', { kind: 'flip' }, /page_corrupt|relay_not_tidemark/],
    ['a sign-in page', { kind: 'answer', status: 200, body: '<html>' }, 'relay_not_tidemark'],
  ] as const)(
    'fails with a code and leaves the replica unchanged on a bad connection (%s)',
    async (_, trouble, code) => {
      await large();
      const failed = await branch.run('verify', {
        each: (agent) => {
          const { phase } = agent.facts();
          if (phase.kind === 'syncing' && phase.progress.stage === 'comparing') branch.way.trouble = trouble;
        },
      });
      if (failed.outcome === 'failed') expect(failed.fault?.code).toMatch(code);
      expect(failed.outcome === 'failed' ? mine() : [[2]]).toEqual([[2]]);
      branch.way.trouble = { kind: 'none' };
      expect((await branch.run('verify')).outcome).toBe('done');
      expect(mine()).toEqual([[0]]);
    },
  );
});
