import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { BatchLine } from '@tidemark/protocol/lines.ts';
import type { TableSchema } from '@tidemark/protocol/schema.ts';
import type { Mode, Run } from '@tidemark/protocol/status/facts.ts';
import { createAgent } from '@tidemark/terminal/terminal/agent.ts';
import type { Agent } from '@tidemark/terminal/terminal/agent-api.ts';
import { Secret } from '@tidemark/terminal/terminal/secret.ts';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FaultProxy } from '../system/fault-proxy.ts';
import { run as runCommand, start, until } from '../system/processes.ts';
import { batchOf, ITEM, position, TestRelay } from '../system/test-relay.ts';

let relay: TestRelay;
let way: FaultProxy;
let folder: string;
beforeEach(async () => {
  relay = await TestRelay.start();
  way = await FaultProxy.start(relay.url);
  folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-verify-'));
});
afterEach(async () => {
  await way.stop();
  await relay.stop();
  rmSync(folder, { recursive: true, force: true });
});

const database = () => path.join(folder, 'branch.sqlite');
const args = (command: string) => [
  ...[command, '--relay', way.url, '--feed', 'shop', '--token-file', relay.tokenFile('terminal'), '--db', database()],
];

function agentOf(giveUpAfterMs: number, repair = true): Agent {
  const options = { databasePath: database(), version: 'test', checkAtStart: false, watch: false, paused: null };
  return createAgent({ ...options, freshCopy: 'take', giveUpAfterMs, repair }, () => undefined);
}

const settings = () => ({
  relayUrl: way.url,
  feed: 'shop',
  token: new Secret(relay.token('terminal')),
  centralName: '',
  terminalName: '',
  everyMs: null,
  automatic: 'check' as const,
});

/** One run by the agent itself. */
async function run(
  mode: Mode,
  { giveUpAfterMs = 0, repair = true, each = (_: Agent) => undefined as void } = {},
): Promise<Run> {
  const agent = agentOf(giveUpAfterMs, repair);
  try {
    return await new Promise((resolve) => {
      agent.onRun(resolve);
      agent.onFacts(() => each(agent));
      agent.start(settings());
      agent.run(mode, 'command');
    });
  } finally {
    await agent.stop();
  }
}

/** What another program does to the replica. */
function tamper(...sql: string[]): void {
  const db = new Database(database());
  for (const each of sql) db.exec(each);
  db.close();
}

function all(sql: string): unknown[] {
  const db = new Database(database(), { readonly: true });
  try {
    return db.prepare(sql).raw().all();
  } finally {
    db.close();
  }
}

const at = (n: number) => ({ seq: all('SELECT seq FROM tidemark_meta')[0], n });
/** The feed's tables as they are, without what the terminal remembers of itself. */
function dump(): Record<string, unknown[]> {
  const names = (all('SELECT name FROM tidemark_table ORDER BY name') as [string][]).map(([name]) => name);
  return Object.fromEntries(names.map((name) => [name, all(`SELECT * FROM "${name}" ORDER BY 1, 2`)]));
}

const column = (name: string, type: TableSchema['columns'][number]['type']) => ({ name, type, source: type });
const PRICE: TableSchema = {
  name: 'price',
  columns: [column('shop', 'text'), column('item', 'integer'), column('amount', 'numeric'), column('photo', 'blob')],
  key: ['shop', 'item'],
};
const NOTE: TableSchema = { name: 'note', columns: [column('text', 'text'), column('n', 'integer')], key: [] };

/** A base of the tables item, price and note. */
async function tables(rows = 300): Promise<void> {
  await relay.session();
  const ids = Array.from({ length: rows }, (_, i) => i + 1);
  const lines: BatchLine[] = [
    ['s', 1, ITEM],
    ['s', 2, PRICE],
    ['s', 3, NOTE],
    ['B', position(1), '2026-11-23T08:00:00.000000Z', 'test'],
    ['i', 1, ids.map((id) => [id, `item ${id}`])],
    [
      'i',
      2,
      ids.map((id) => [
        `shop ${id % 7}`,
        id,
        id / 8,
        id % 3 === 0 ? null : Buffer.from([id % 256, 0]).toString('base64'),
      ]),
    ],
    ['i', 3, ids.map((id) => [`note ${id % 40}`, id % 3])],
    ['c', 3 * rows],
  ];
  await relay.send(batchOf(lines));
}

/** A replica that equals the relay. */
async function synced(): Promise<Record<string, unknown[]>> {
  const first = await run('now', { giveUpAfterMs: 30_000 });
  expect(first.outcome).toBe('done');
  return dump();
}

describe('what another program did to a replica is found and repaired', () => {
  test.each<[string, string[], Partial<Record<string, [number, number, number]>>]>([
    ['one changed byte', ["UPDATE item SET name = 'item 1O' WHERE id = 10"], { item: [0, 0, 1] }],
    [
      'rows missing, extra and different',
      [
        "DELETE FROM item WHERE id IN (1, 150, 300); INSERT INTO item VALUES (-5, 'x'), (999, 'y'); UPDATE item SET name = NULL WHERE id = 7",
      ],
      { item: [3, 2, 1] },
    ],
    [
      'another storage class of an equal value',
      [
        "UPDATE price SET amount = CAST(amount AS TEXT) || 'x' WHERE item = 3; UPDATE price SET photo = CAST('ab' AS TEXT) WHERE item = 4",
      ],
      { price: [0, 0, 2] },
    ],
    ['a key of another kind', ['UPDATE price SET shop = CAST(shop AS BLOB) WHERE item = 3'], { price: [1, 1, 0] }],
    [
      'rows of a table without a key',
      ["DELETE FROM note WHERE rowid IN (1, 2); INSERT INTO note VALUES ('note 3', 0), ('mine', NULL)"],
      { note: [2, 2, 0] },
    ],
    ['all rows of a table gone', ['DELETE FROM item'], { item: [300, 0, 0] }],
    ['a table dropped', ['DROP TABLE price'], { price: [300, 0, 0] }],
    [
      'a table replaced by a view',
      ["DROP TABLE price; CREATE VIEW price AS SELECT 'mine' AS shop"],
      { price: [300, 1, 0] },
    ],
    ['a column added', ['ALTER TABLE item ADD COLUMN mine TEXT'], { item: [300, 300, 0] }],
    ['a column dropped', ['ALTER TABLE price DROP COLUMN photo'], { price: [300, 300, 0] }],
    [
      'a table made anew with a check',
      [
        "CREATE TABLE other (id INTEGER PRIMARY KEY NOT NULL, name TEXT CHECK (name <> 'mine')); INSERT INTO other SELECT * FROM item; DROP TABLE item; ALTER TABLE other RENAME TO item",
      ],
      { item: [300, 300, 0] },
    ],
    [
      'a trigger that writes what it likes',
      [
        "CREATE TRIGGER mine AFTER INSERT ON item BEGIN UPDATE item SET name = 'mine' WHERE id = NEW.id; END; UPDATE item SET name = 'x' WHERE id = 5",
      ],
      { item: [0, 0, 1] },
    ],
    [
      'a trigger that refuses',
      [
        "UPDATE item SET name = 'x' WHERE id = 5; CREATE TRIGGER mine BEFORE INSERT ON item BEGIN SELECT RAISE(ABORT, 'mine'); END",
      ],
      { item: [0, 0, 1] },
    ],
    [
      'a unique index that the rows do not meet',
      ['UPDATE note SET text = rowid, n = 0; CREATE UNIQUE INDEX mine ON note (text)'],
      { note: [300, 300, 0] },
    ],
    ['wrong counts of rows', ['UPDATE tidemark_table SET rows = 7'], {}],
  ])('C5: %s', async (_, sql, found) => {
    await tables();
    const before = await synced();
    tamper(...sql);
    const verified = await run('verify');
    expect(verified.fault).toBeNull();
    const differences = Object.entries(found).map(([table, [missing, extra, different] = [0, 0, 0]]) => ({
      table,
      missing,
      extra,
      different,
    }));
    expect(verified).toMatchObject({ outcome: 'done', mode: 'verify', snapshot: null });
    expect(verified.differences).toEqual(differences);
    expect(dump()).toEqual(before);
    expect(all('SELECT rows FROM tidemark_table')).toEqual([[300], [300], [300]]);
    expect(await run('verify')).toMatchObject({
      outcome: 'done',
      differences: [],
      inserted: 0,
      updated: 0,
      deleted: 0,
    });
    expect(all('PRAGMA integrity_check')).toEqual([['ok']]);
  });

  test('C5: nothing is written where nothing differs, and objects of other programs stay', async () => {
    await tables();
    await synced();
    tamper(
      'CREATE INDEX mine ON item (name)',
      'CREATE TABLE my_table (n)',
      'CREATE TRIGGER kept AFTER UPDATE ON item BEGIN SELECT 1; END',
    );
    const version = () => all('PRAGMA schema_version');
    const before = version();
    expect(await run('verify')).toMatchObject({ outcome: 'done', differences: [] });
    expect(version()).toEqual(before);
    tamper("UPDATE item SET name = 'x' WHERE id = 1");
    expect(await run('verify')).toMatchObject({ outcome: 'done', differences: [{ table: 'item', different: 1 }] });
    expect(all("SELECT name FROM sqlite_schema WHERE name IN ('mine', 'my_table', 'kept') ORDER BY 1")).toEqual([
      ['kept'],
      ['mine'],
      ['my_table'],
    ]);
  });

  test('C6: it is compared at one position: what is not here yet is pulled first, and is no difference', async () => {
    await relay.base(500);
    await synced();
    await relay.commit('u', [
      [1, 'newer'],
      [2, 'newer'],
    ]);
    tamper("UPDATE item SET name = 'mine' WHERE id = 9", 'DELETE FROM item WHERE id = 1');
    const verified = await run('verify', { giveUpAfterMs: 30_000 });
    expect(verified).toMatchObject({
      outcome: 'done',
      differences: [{ table: 'item', missing: 0, extra: 0, different: 1 }],
    });
    expect(all('SELECT name FROM item WHERE id IN (1, 2, 9)')).toEqual([['newer'], ['newer'], ['item 9']]);
    expect(at(0).seq).toEqual([2]);
  });

  test('C7: a page that another program made impossible is no failure: the run compares, repairs and ends at its target', async () => {
    await tables();
    await synced();
    for (const [n, sql] of [
      'DROP TABLE item',
      'ALTER TABLE item RENAME COLUMN name TO mine',
      "CREATE TRIGGER mine BEFORE INSERT ON item BEGIN SELECT RAISE(ABORT, 'mine'); END",
    ].entries()) {
      await relay.send(
        batchOf([
          ['s', 1, ITEM],
          ['b', position(10 + n), '2026-11-23T08:00:00.000000Z'],
          ['u', 1, [[1, `newer ${n}`]]],
          ['c', 1],
        ]),
      );
      tamper(sql);
      const pulled = await run('now', { giveUpAfterMs: 30_000 });
      expect(pulled).toMatchObject({ outcome: 'done', fault: null });
      expect(all('SELECT name FROM item WHERE id = 1')).toEqual([[`newer ${n}`]]);
      expect(await run('verify', { giveUpAfterMs: 30_000 })).toMatchObject({ outcome: 'done', differences: [] });
    }
  }, 60_000);

  test('a fleet of tables: many, small and empty ones', async () => {
    await relay.session();
    const many = Array.from({ length: 150 }, (_, i): TableSchema => ({ ...ITEM, name: `t${i}` }));
    await relay.send(
      batchOf([
        ...many.map((schema, i): BatchLine => ['s', i + 1, schema]),
        ['B', position(1), '2026-11-23T08:00:00.000000Z', 'test'],
        ...many
          .slice(1)
          .map((_, i): BatchLine => ['i', i + 2, Array.from({ length: 1 + (i % 100) }, (_, n) => [n, `row ${n}`])]),
        ['c', many.slice(1).reduce((sum, _, i) => sum + 1 + (i % 100), 0)],
      ]),
    );
    const before = await synced();
    tamper(
      "INSERT INTO t0 VALUES (1, 'x')",
      'DELETE FROM t99 WHERE id = 3',
      "UPDATE t100 SET name = 'y' WHERE id = 0",
      'DROP TABLE t7',
    );
    const verified = await run('verify');
    expect(
      verified.differences?.map(({ table, missing, extra, different }) => [table, missing, extra, different]),
    ).toEqual([
      ['t0', 0, 1, 0],
      ['t100', 0, 0, 1],
      ['t7', 7, 0, 0],
      ['t99', 1, 0, 0],
    ]);
    expect(dump()).toEqual(before);
  });
});
