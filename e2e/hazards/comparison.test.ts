import { existsSync } from 'node:fs';
import type { BatchLine } from '@tidemark/protocol/lines';
import type { Run } from '@tidemark/protocol/run';
import type { TableSchema } from '@tidemark/protocol/schema';
import { Replica } from '@tidemark/replica/replica';
import { Branch } from '@tidemark/testing/branch';
import { run as command, start, until } from '@tidemark/testing/processes';
import { batchOf, ITEM, position } from '@tidemark/testing/test-relay';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AT, differencesOf } from './verify-lab.ts';

/** A comparison of replica and relay: when it pulls first, what it costs, and how it survives interruptions. */

describe('a comparison', () => {
  let branch: Branch;
  beforeEach(async () => {
    branch = await Branch.start();
  });
  afterEach(() => branch.stop());

  test('C6: pulls up to the snapshot first, so that the backlog does not count as a difference', async () => {
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
    expect(differencesOf(verified)).toEqual([['item', 0, 0, 1]]);
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
    // The replica also recovers when no changes are waiting.
    branch.tamper('DROP TABLE item');
    expect(await branch.run('now')).toMatchObject({ outcome: 'done', fault: null });
    expect(branch.all('SELECT count(*) FROM item')).toEqual([[300]]);
  });

  test("T1: leaves another program's view alone when it has a table's name, and recovers once the view is gone", async () => {
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
    // The view no longer conflicts once head office has dropped the table.
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
    expect(differencesOf(verified)).toEqual([['item', 0, 0, 1]]);
    expect(branch.all('SELECT name FROM item WHERE id = 654321')).toEqual([['item number 654321']]);
    expect(sum()).toEqual(before);
    expect(branch.wire.bytes).toBeLessThan(100_000);
    expect(branch.wire.bytes).toBeGreaterThan(verified.bytes);
  });

  test('C4: compares many tables, including small and empty ones', async () => {
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
    expect(differencesOf(verified)).toEqual([
      ['t100', 0, 0, 1],
      ['t5', 0, 1, 0],
      ['t7', 8, 0, 0],
      ['t99', 1, 0, 0],
    ]);
    expect(branch.dump()).toEqual(before);
  });

  test('C8: downloads a snapshot if it costs less than the rows, but never with --no-repair', async () => {
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
    branch.faultProxy.requestedPaths.length = 0;
    const verified = await branch.run('verify');
    expect(differencesOf(verified)).toEqual([['item', 29_999, 1, 1]]);
    expect(branch.faultProxy.requestedPaths.filter((url) => url.endsWith('/rows')).length).toBeGreaterThan(1);
    expect(branch.dump()).toEqual(before);
  });

  const LARGE = 60_000;
  const large = async () => {
    await branch.relay.base(LARGE, (n) => `item ${n}`);
    await branch.synced();
    branch.tamper("UPDATE item SET name = 'mine' WHERE id IN (5, 50000)");
  };
  const mine = () => branch.all("SELECT count(*) FROM item WHERE name = 'mine'");

  test('a cancelled or killed repair leaves the replica unchanged, and the next run repairs it', async () => {
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
    branch.faultProxy.trouble = { kind: 'slow', bytesPerSecond: 200 };
    branch.faultProxy.requestedPaths.length = 0;
    const killed = start('terminal', branch.args('verify'));
    await until(
      async () => branch.faultProxy.requestedPaths.some((url) => url.endsWith('/digests')),
      () => 'no comparison started',
    );
    await killed.stop('SIGKILL');
    expect(mine()).toEqual([[2]]);
    branch.faultProxy.trouble = { kind: 'none' };
    stages = [];
    expect(differencesOf(await branch.run('verify'))).toEqual([['item', 0, 0, 2]]);
    expect(mine()).toEqual([[0]]);
  });

  /** Runs a comparison, and calls `work` as soon as it has started. */
  async function whileComparing(work: () => Promise<void>): Promise<Run> {
    branch.faultProxy.trouble = { kind: 'slow', bytesPerSecond: 200 };
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
    branch.faultProxy.trouble = { kind: 'none' };
    return done;
  }

  test('restarts the comparison when the relay restarts', async () => {
    await large();
    const verified = await whileComparing(async () => {
      branch.faultProxy.trouble = { kind: 'cut' };
      await branch.relay.restart('{}', Date.now());
      branch.faultProxy.forwardTo(branch.relay.url);
    });
    expect(verified).toMatchObject({ outcome: 'done', fault: null });
    expect(verified.retries).toBeGreaterThan(0);
    expect(differencesOf(verified)).toEqual([['item', 0, 0, 2]]);
    expect(mine()).toEqual([[0]]);
  });

  test('C1: restarts with the newer snapshot when its snapshot is replaced', async () => {
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
    expect(differencesOf(verified)).toEqual([['item', 0, 0, 2]]);
    expect(branch.seq).toBe(2);
  });

  test.each([
    ['cut', { kind: 'cut' }, 'relay_unreachable'],
    ['flipped bits', { kind: 'flip' }, /page_corrupt|relay_not_tidemark/],
    ['a sign-in page', { kind: 'answer', status: 200, body: '<html>' }, 'relay_not_tidemark'],
  ] as const)(
    'fails with an error code and leaves the replica unchanged on a bad connection (%s)',
    async (_, trouble, code) => {
      await large();
      const failed = await branch.run('verify', {
        each: (agent) => {
          const { phase } = agent.facts();
          if (phase.kind === 'syncing' && phase.progress.stage === 'comparing') branch.faultProxy.trouble = trouble;
        },
      });
      if (failed.outcome === 'failed') expect(failed.fault?.code).toMatch(code);
      expect(failed.outcome === 'failed' ? mine() : [[2]]).toEqual([[2]]);
      branch.faultProxy.trouble = { kind: 'none' };
      expect((await branch.run('verify')).outcome).toBe('done');
      expect(mine()).toEqual([[0]]);
    },
  );
});
