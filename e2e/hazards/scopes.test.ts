import { rmSync } from 'node:fs';
import path from 'node:path';
import { RelayStatus, type TableList, type TransactionList } from '@tidemark/protocol/api';
import type { TidemarkError } from '@tidemark/protocol/errors';
import type { BatchLine, PartialLine, WireRow } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import { agentRun } from '@tidemark/testing/agent-run';
import { run } from '@tidemark/testing/processes';
import { Random } from '@tidemark/testing/random';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, test } from 'vitest';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

const table = (name: string, columns: Record<string, 'integer' | 'text' | 'numeric' | 'boolean'>, key: string[]) =>
  ({
    name,
    columns: Object.entries(columns).map(([column, type]) => ({
      name: column,
      type: type === 'boolean' ? 'integer' : type,
      source: type === 'integer' ? 'bigint' : type,
    })),
    key,
  }) satisfies TableSchema;

type PartialRow = PartialLine[2][number];

const PRODUCT: TableSchema = table('product', { id: 'integer', name: 'text' }, ['id']);
const STOCK: TableSchema = table('stock', { sku: 'integer', branch: 'integer', amount: 'numeric' }, ['sku']);
const PRICE: TableSchema = table(
  'price',
  { id: 'text', region: 'text', branch: 'integer', live: 'boolean', kind: 'text' },
  ['id'],
);
const AUDIT: TableSchema = table('audit', { id: 'integer', at: 'text', secret: 'text', branch: 'integer' }, ['id']);
const TABLES = [PRODUCT, STOCK, PRICE, AUDIT];

const FEED = `
    tables:
      product: {}
      stock: { where: { branch: $branch } }
      price: { where: { region: $region, branch: $branch, live: true, kind: [a, null] }, indexes: [[region, branch]] }
      audit: { where: { branch: $branch }, columns: [id, at] }`;

const TERMINALS = {
  seven: { branch: '7', region: 'north' },
  some: { branch: '7, 8,12345678901234567', region: 'south,no&rth' },
  nine: { branch: '9' },
  none: {},
};
type Name = keyof typeof TERMINALS;

const BRANCHES = [7, 8, 9, '12345678901234567', null];
const REGIONS = ['north', 'south', 'no&rth', '7', null];

/** The part of a row that a terminal must receive, by this test's own reading of relay.yaml; null: none. */
function visible(name: Name, schema: TableSchema, row: WireRow): WireRow | null {
  const attributes: Record<string, string> = TERMINALS[name];
  const holds = (attribute: string, value: unknown) =>
    value !== null &&
    (attributes[attribute] ?? '')
      .split(',')
      .map((each) => each.trim())
      .includes(String(value));
  const [, second, third, live, kind] = row;
  switch (schema) {
    case STOCK:
      return holds('branch', second) ? row : null;
    case PRICE:
      return holds('region', second) && holds('branch', third) && live === 1 && (kind === 'a' || kind === null)
        ? row
        : null;
    case AUDIT:
      return holds('branch', live) ? row.slice(0, 2) : null;
    default:
      return row;
  }
}

function randomRow(random: Random, schema: TableSchema): WireRow {
  const branch = random.pick(BRANCHES);
  switch (schema) {
    case STOCK:
      return [random.int(1, 40), branch, random.pick([1, 2.5, 'NaN', null])];
    case PRICE:
      return [`p${random.int(1, 25)}`, random.pick(REGIONS), branch, random.int(0, 1), random.pick(['a', 'b', null])];
    case AUDIT:
      return [random.int(1, 30), 'now', `secret of ${branch}`, branch];
    default:
      return [random.int(1, 20), `name ${random.int(1, 99)}`];
  }
}

/** The master's rows, by key. */
class Master {
  readonly rows = new Map(TABLES.map((schema) => [schema, new Map<string, WireRow>()]));

  of(schema: TableSchema): Map<string, WireRow> {
    return this.rows.get(schema) ?? new Map<string, WireRow>();
  }

  /** Random lines of one transaction, in the form that a feed writes. */
  change(random: Random): BatchLine[] {
    const lines: BatchLine[] = [];
    const statements = random.chance(0.15) ? 60 : random.int(1, 6);
    for (let i = 0; i < statements; i++) {
      const at = random.int(0, TABLES.length - 1);
      const schema = TABLES[at] ?? PRODUCT;
      lines.push(...this.#statement(random, at + 1, schema));
    }
    return lines;
  }

  #statement(random: Random, id: number, schema: TableSchema): BatchLine[] {
    const rows = this.of(schema);
    const kind = random.next();
    if (kind < 0.02) {
      rows.clear();
      return [['t', id]];
    }
    const key = random.pick([...rows.keys()].concat(''));
    const old = rows.get(key);
    if (kind < 0.4 || !old) {
      const fresh = Array.from({ length: random.int(1, 4) }, () => randomRow(random, schema)).filter(
        ([first], n, all) => !rows.has(String(first)) && all.findIndex(([other]) => other === first) === n,
      );
      for (const row of fresh) rows.set(String(row[0]), row);
      return fresh.length === 0 ? [] : [['i', id, fresh]];
    }
    if (kind < 0.5) {
      rows.delete(key);
      return [['d', id, [[old[0] ?? null]]]];
    }
    const next = randomRow(random, schema);
    if (kind < 0.6 && !rows.has(String(next[0]))) {
      // A changed key.
      rows.delete(key);
      rows.set(String(next[0]), next);
      return [
        ['d', id, [[old[0] ?? null]]],
        ['i', id, [next]],
      ];
    }
    next[0] = old[0] ?? null;
    rows.set(key, next);
    if (kind < 0.7) {
      let row = old;
      const partial = (wanted: WireRow): PartialRow => {
        const present = schema.columns.map((_, n) => n).filter((n) => n === 0 || random.chance(0.6));
        row = row.map((value, n) => (present.includes(n) ? (wanted[n] ?? null) : value));
        return [null, present, present.map((n) => row[n] ?? null)];
      };
      const changes = [partial(next)];
      // The same row again: columns that the second line omits keep the values of the first.
      if (random.chance(0.5)) changes.push(partial([next[0] ?? null, ...randomRow(random, schema).slice(1)]));
      rows.set(key, row);
      return [['p', id, changes]];
    }
    // Twice in one line, to check that the relay distinguishes them.
    if (kind < 0.8) {
      const last = [old[0] ?? null, ...randomRow(random, schema).slice(1)];
      rows.set(key, last);
      return [['u', id, [next, last]]];
    }
    return [['u', id, [next]]];
  }
}

interface World {
  relay: TestRelay;
  master: Master;
  random: Random;
  file: (name: string) => string;
}

async function world(seed: number, feed = FEED): Promise<World> {
  const relay = await TestRelay.start(feed, TERMINALS);
  const folder = temporaryFolder('scopes');
  cleanup.push(
    () => relay.stop(),
    () => rmSync(folder, { recursive: true, force: true }),
  );
  const random = new Random(seed);
  const master = new Master();
  for (let i = 0; i < 10; i++) master.change(random);
  await relay.session();
  await relay.baseOf([
    ...TABLES.map((schema, at): BatchLine => ['s', at + 1, schema]),
    ...TABLES.map((schema, at): BatchLine => ['i', at + 1, [...master.of(schema).values()]]),
  ]);
  return { relay, master, random, file: (name) => path.join(folder, `${name}.sqlite`) };
}

const sorted = (rows: unknown[][]) => rows.map((row) => JSON.stringify(row.map(String))).sort();

async function pull({ relay, file }: World, name: Name): Promise<void> {
  const run = await agentRun({ relayUrl: relay.url, token: relay.token(name), database: file(name) });
  expect(run.fault).toBe(null);
}

/** Checks that the terminal holds exactly its part of the master, and that the relay counts exactly that part. */
async function expectEqual(world: World, name: Name, tables = TABLES): Promise<void> {
  const { relay, master, file } = world;
  const db = new Database(file(name), { readonly: true });
  const list = (await (await relay.get('/v1/feeds/shop/tables', relay.token(name))).json()) as TableList;
  try {
    for (const schema of tables) {
      const wanted = [...master.of(schema).values()].flatMap((row) => {
        const seen = visible(name, schema, row);
        return seen === null ? [] : [seen];
      });
      const found = db.prepare(`SELECT * FROM "${schema.name}"`).safeIntegers().raw().all() as unknown[][];
      expect(sorted(found), `${name} ${schema.name}`).toEqual(sorted(wanted));
      const counted = db.prepare('SELECT rows FROM tidemark_table WHERE name = ?').pluck().get(schema.name);
      expect(counted, `${name} ${schema.name}`).toBe(wanted.length);
      expect(list.tables.find((each) => each.name === schema.name)?.rows, `${name} ${schema.name}`).toBe(wanted.length);
    }
  } finally {
    db.close();
  }
}

const NAMES = Object.keys(TERMINALS) as Name[];
const seeds = process.env.TIDEMARK_SEED ? [Number(process.env.TIDEMARK_SEED)] : [1, 2, Date.now() % 1_000_000];

describe('scopes', () => {
  test.each(seeds)('G1 each terminal holds exactly its rows while rows move between scopes (seed %i)', async (seed) => {
    const all = await world(seed);
    for (let round = 0; round < 12; round++) {
      for (const name of NAMES.filter(() => round === 0 || all.random.chance(0.6))) await pull(all, name);
      for (let i = all.random.int(1, 12); i > 0; i--) await all.relay.transaction(all.master.change(all.random));
    }
    for (const name of NAMES) {
      await pull(all, name);
      await expectEqual(all, name);
    }
    // A terminal that starts late, with a snapshot.
    for (const name of NAMES) rmSync(all.file(name));
    for (const name of NAMES) {
      await pull(all, name);
      await expectEqual(all, name);
    }
  });

  test('G2 foreign-rows: no answer to a terminal reveals rows outside its scopes', async () => {
    const all = await world(5);
    const { relay } = all;
    await pull(all, 'nine');
    const ask = async (route: string, name: Name) =>
      (await relay.get(`/v1/feeds/shop/${route}`, relay.token(name))).text();
    const before = RelayStatus.parse(JSON.parse(await ask('status', 'nine')));
    const epoch = before.head?.epoch ?? '';
    const from = before.head?.seq ?? 0;
    await relay.transaction([
      ['i', 2, [[900, 7, 1]]],
      ['i', 4, [[901, 'then', 'the secret', 7]]],
    ]);
    await relay.transaction([['i', 2, [[902, 9, 1]]]]);
    await relay.transaction([['u', 2, [[902, 7, 5]]]]);
    const scopes = 'scopes' in before.plan ? before.plan.scopes : '';
    const status = RelayStatus.parse(
      JSON.parse(await ask(`status?epoch=${epoch}&seq=${from}&scopes=${scopes}`, 'nine')),
    );
    expect(status.behind).toMatchObject({ transactions: 2, changes: 2 });
    const said = JSON.parse(await ask(`transactions?epoch=${epoch}&after=${from}`, 'nine')) as TransactionList;
    expect(said.transactions.map(({ seq, changes, tables }) => [seq - from, changes, tables])).toEqual([
      [2, 1, ['stock']],
      [3, 1, ['stock']],
    ]);
    const page = await ask(`pages/${epoch}/${scopes}/${from}/${from + 3}`, 'nine');
    expect(page).toContain('["i",2,[[902,9,1]]]');
    expect(page).toContain('["d",2,[[902]]]');
    expect(page).not.toMatch(/\[90[01]|secret|902,7/);
    const seven = RelayStatus.parse(JSON.parse(await ask('status', 'seven')));
    const theirs = 'scopes' in seven.plan ? seven.plan.scopes : '';
    expect(theirs).not.toBe(scopes);
    for (const route of [
      `pages/${epoch}/${theirs}/${from}/${from}`,
      `snapshots/${epoch}/${theirs}/${from}`,
      `pages/${epoch}/all/${from}/${from}`,
    ])
      expect(JSON.parse(await ask(route, 'nine'))).toMatchObject({ code: 'scope_denied' });
  });

  test('G3 a terminal whose rows did not change is caught up, and its cursor follows', async () => {
    const all = await world(6);
    await pull(all, 'nine');
    for (let i = 0; i < 5; i++) await all.relay.transaction([['i', 2, [[800 + i, 7, 1]]]]);
    const run = await agentRun({ relayUrl: all.relay.url, token: all.relay.token('nine'), database: all.file('nine') });
    expect(run).toMatchObject({ fault: null, outcome: 'nothing-new', to: { seq: 6 } });
    // Pulling one transaction applies one of its own.
    for (const branch of [7, 7, 9, 7, 9])
      await all.relay.transaction([['i', 2, [[810 + all.random.int(0, 1e9), branch, 1]]]]);
    const one = await agentRun({
      relayUrl: all.relay.url,
      token: all.relay.token('nine'),
      database: all.file('nine'),
      mode: 'one',
    });
    expect(one).toMatchObject({ fault: null, inserted: 1, to: { seq: 9 } });
  });
});

test('G1 many-scopes: a terminal of a thousand branches receives rows in order, at the cost of its own rows', async () => {
  const branches = 1500;
  const mine = Array.from({ length: 1000 }, (_, i) => i + 1);
  const relay = await TestRelay.start('{ tables: { stock: { where: { branch: $branch } } } }', {
    region: { branch: mine.join(',') },
  });
  const folder = temporaryFolder('scopes');
  cleanup.push(
    () => relay.stop(),
    () => rmSync(folder, { recursive: true, force: true }),
  );
  const database = path.join(folder, 'region.sqlite');
  const pull = () => agentRun({ relayUrl: relay.url, token: relay.token('region'), database, giveUpAfterMs: 30_000 });
  const random = new Random(11);
  const stock = new Map<number, WireRow>();
  for (let sku = 1; sku <= branches; sku++) stock.set(sku, [sku, sku, 0]);
  await relay.session();
  // Much larger than the changes, so that pages cost less than a snapshot.
  const long = () => Array.from({ length: 40 }, () => random.next()).join(' ');
  await relay.baseOf([
    ['s', 1, STOCK],
    ['s', 2, PRODUCT],
    ['i', 1, [...stock.values()]],
    ['i', 2, Array.from({ length: 1500 }, (_, id): WireRow => [id, long()])],
  ]);
  const first = await pull();
  expect(first).toMatchObject({ fault: null, inserted: mine.length + 1500 });

  const touched: number[] = [];
  for (let n = 1; n <= 250; n++) {
    // Some transactions change all scopes: as many parts as scopes.
    const skus = n % 100 === 0 ? [...stock.keys()] : [random.int(1, branches)];
    const rows = skus.map((sku): WireRow => [sku, random.int(1, branches), n]);
    if (rows.some((row) => [row, stock.get(Number(row[0]))].some((each) => Number(each?.[1]) <= mine.length)))
      touched.push(n + 1);
    for (const row of rows) stock.set(Number(row[0]), row);
    await relay.transaction([['u', 1, rows]]);
  }
  const listed = await relay.get(
    `/v1/feeds/shop/transactions?epoch=${first.to?.epoch}&after=1&limit=500`,
    relay.token('region'),
  );
  const { transactions } = (await listed.json()) as TransactionList;
  expect(transactions.map(({ seq }) => seq)).toEqual(touched);
  expect(await pull()).toMatchObject({ fault: null, snapshot: null, to: { seq: 251 } });
  const db = new Database(database, { readonly: true });
  cleanup.push(() => db.close());
  expect(db.prepare('SELECT * FROM stock ORDER BY sku').raw().all()).toEqual(
    [...stock.values()].filter(([, branch]) => Number(branch) <= mine.length),
  );
});

test('G1 zeros-and-spaces: compares numeric(20,6) and char(5) like the master, in snapshots and increments', async () => {
  const tariff: TableSchema = {
    name: 'tariff',
    columns: [
      { name: 'id', type: 'integer', source: 'integer' },
      { name: 'rate', type: 'text', source: 'numeric(20,6)' },
      { name: 'zone', type: 'text', source: 'character(5)' },
    ],
    key: ['id'],
  };
  const filter = '{ tables: { tariff: { where: { rate: [10.5, "11.00"], zone: $zone } } } }';
  const relay = await TestRelay.start(filter, { one: { zone: 'AB' } });
  const folder = temporaryFolder('scopes');
  cleanup.push(
    () => relay.stop(),
    () => rmSync(folder, { recursive: true, force: true }),
  );
  const database = path.join(folder, 'one.sqlite');
  const held = async () => {
    expect(await agentRun({ relayUrl: relay.url, token: relay.token('one'), database })).toMatchObject({ fault: null });
    const db = new Database(database, { readonly: true });
    const ids = db.prepare('SELECT id FROM tariff ORDER BY id').pluck().all();
    db.close();
    return ids;
  };
  const rows = (from: number): WireRow[] => [
    [from, '10.500000', 'AB   '],
    [from + 1, '11.000000', 'AB   '],
    [from + 2, '10.500000', 'AC   '],
    [from + 3, '12.000000', 'AB   '],
  ];
  await relay.session();
  await relay.baseOf([
    ['s', 1, tariff],
    ['i', 1, rows(1)],
  ]);
  expect(await held()).toEqual([1, 2]);
  await relay.transaction([['i', 1, rows(11)]]);
  expect(await held()).toEqual([1, 2, 11, 12]);
  const wrong = '{ tables: { tariff: { where: { rate: ten } } } }';
  await expect(relay.restart(wrong, Date.now())).rejects.toThrow(
    'relay.yaml line 5: feeds.shop.tables.tariff.where.rate: "ten" is no value of the column rate (numeric(20,6)): write a number',
  );
  await relay.restart(filter, Date.now());
});

describe('refuses bad filters at start, with file and line', () => {
  const bad = (feed: string) => TestRelay.start(feed, TERMINALS).then((relay) => relay.stop());
  test.each([
    ['{ tables: { stock: { where: { branch: $brunch } } } }', 'no terminal has the attribute brunch'],
    ['{ tables: { stock: { where: { branch: [1, $branch] } } } }', 'an attribute cannot be in a list'],
    ['{ tables: { stock: { where: { branch: [] } } } }', 'names no value'],
    ['{ tables: { stock: { where: { branch: 9007199254740993 } } } }', 'in quotes'],
    ['{ tables: { stock: { where: { branch: 007 } } } }', '007 would be read as 7; write it in quotes'],
    ['{ tables: { stock: { where: { branch: [1, 1e3] } } } }', '1e3 would be read as 1000; write it in quotes'],
    ['{ tables: { stock: { where: { branch: True } } } }', 'True would be read as true; write it in quotes'],
    ['{ tables: { stock: { where: { branch: } } } }', 'write null for NULL'],
    ['{ tables: { stock: { where: { branch: $my-depot } } } }', 'or $$ for a text that begins with $'],
    ['{ tables: { stock: { where: { branch: $ } } } }', 'or $$ for a text that begins with $'],
    ['{ tables: { stock: { where: { branch: [1, $1] } } } }', 'or $$ for a text that begins with $'],
    ['{ tables: { stock: { where: { branch: { is: 1 } } } } }', 'write a value, a list of values, or $attribute'],
    ['{ tables: { stock: { columns: [] } } }', 'names no column'],
    ['{ tables: { stock: { columns: [sku, sku] } } }', 'names a column twice'],
    ['{ tables: { stock: { indexes: [sku] } } }', 'stock.indexes.0'],
    ['{ tables: { stock: { were: {} } } }', 'no such field'],
  ])('%s', async (feed, says) => {
    const error = await bad(feed).then(
      () => null,
      (thrown: TidemarkError) => thrown,
    );
    expect(error).toMatchObject({ code: 'config_invalid' });
    expect(error?.message).toContain(says);
    expect(error?.message).toMatch(/line 5: feeds\.shop\.tables\.stock/);
  });

  test.each([
    ['{ tables: { stock: { where: { branche: $branch } } } }', 'the table stock has no column branche'],
    ['{ tables: { stock: { columns: [branch] } } }', 'the key column sku is missing'],
    ['{ tables: { stock: { columns: [sku, no] } } }', 'the table stock has no column no'],
    ['{ tables: { stock: { indexes: [[no]] } } }', 'the table stock has no column no'],
    ['{ tables: { stock: { columns: [sku], indexes: [[branch]] } } }', 'branch is not among the columns'],
  ])('filter on an unknown column: %s', async (feed, says) => {
    const { relay } = await world(7);
    await expect(relay.restart(feed, Date.now())).rejects.toMatchObject({ code: 'config_invalid' });
    await expect(relay.restart(feed, Date.now())).rejects.toThrow(says);
    await expect(relay.restart(feed, Date.now())).rejects.toThrow('relay.yaml line 5: feeds.shop.tables.stock');
    await relay.restart(FEED, Date.now());
  });

  test('filter on a dropped column: refuses the batch with file and line, and keeps serving existing data', async () => {
    const { relay } = await world(8);
    const without: TableSchema = { ...STOCK, columns: STOCK.columns.filter(({ name }) => name !== 'branch') };
    const told = relay.transaction([
      ['s', 9, without],
      ['L', 9, 2, ['sku', 'amount']],
      ['E', 9],
    ]);
    await expect(told).rejects.toMatchObject({ code: 'filter_invalid' });
    await expect(told).rejects.toThrow('the table stock has no column branch');
    await expect(told).rejects.toThrow('relay.yaml line');
    const status = RelayStatus.parse(await (await relay.get('/v1/feeds/shop/status', relay.token('nine'))).json());
    expect(status.head?.seq).toBe(1);
  });
});

test('G5 token set changes one attribute while the relay runs, and keeps the key and other attributes', async () => {
  const all = await world(9);
  await pull(all, 'nine');
  const set = (name: string, ...pairs: string[]) =>
    run('relay', ['token', 'set', '--config', all.relay.config, '--feed', 'shop', '--name', name, ...pairs]);
  expect(await set('nobody', '--set', 'branch=7')).toMatchObject({ code: 2 });
  expect(await set('nine', '--set', 'branch')).toMatchObject({ code: 2 });
  expect(await set('nine')).toMatchObject({ code: 2, stderr: expect.stringContaining('--unset') });
  expect(await set('nine', '--set', 'branch=7', '--set', 'branch=8')).toEqual({
    code: 0,
    signal: null,
    stdout: 'nine now has {"branch":"7,8"}.\n',
    stderr: expect.stringMatching(
      /^warning: nine has no attribute region, which relay.yaml line 9: feeds.shop.tables.price.where.region asks for.*\n$/,
    ),
  });
  await pull(all, 'nine');
  const db = new Database(all.file('nine'), { readonly: true });
  const found = db.prepare('SELECT sku FROM stock ORDER BY sku').pluck().all();
  db.close();
  const wanted = [...all.master.of(STOCK).values()].filter(([, branch]) => branch === 7 || branch === 8);
  expect(found).toEqual(wanted.map(([sku]) => sku).sort((a, b) => Number(a) - Number(b)));

  expect(await set('nine', '--set', 'region=1.10,1.5')).toMatchObject({
    stderr: 'warning: region=1.10 is compared as a text: for a column of decimals write 1.1\n',
  });
  expect(await set('nine', '--set', 'region=north')).toMatchObject({
    stdout: 'nine now has {"branch":"7,8","region":"north"}.\n',
    stderr: '',
  });
  expect(await set('nine', '--set', 'branch=9')).toMatchObject({
    stdout: 'nine now has {"branch":"9","region":"north"}.\n',
  });
  expect(await set('nine', '--unset', 'regoin')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('nine has no attribute regoin (it has: branch, region)'),
  });
  expect(await set('nine', '--unset', 'region', '--set', 'region=south')).toMatchObject({ code: 2 });
  expect(await set('nine', '--unset', 'region', '--json')).toMatchObject({
    stdout: '{"name":"nine","feed":"shop","attributes":{"branch":"9"}}\n',
  });
});

test('G6 the relay starts after terminals were removed', async () => {
  const { relay } = await world(10);
  const command = (...args: string[]) => run('relay', ['token', ...args, '--config', relay.config, '--feed', 'shop']);
  expect(await command('revoke', '--name', 'seven')).toMatchObject({ code: 0 });
  expect(await command('set', '--name', 'some', '--unset', 'region')).toMatchObject({ code: 0 });
  await relay.restart(FEED, Date.now());
  const noted = relay.events.filter(({ event }) => event === 'attribute-of-nobody');
  expect(noted).toEqual([{ event: 'attribute-of-nobody', feed: 'shop', detail: expect.stringContaining('line 9') }]);
  expect(noted[0]?.detail).toContain('no terminal has the attribute region (known: branch)');
  // New filters are still checked.
  const misspelt = FEED.replace('audit: { where: { branch: $branch }', 'audit: { where: { branch: $brunch }');
  await expect(relay.restart(misspelt, Date.now())).rejects.toThrow('no terminal has the attribute brunch');
  await relay.restart(FEED, Date.now());
  const added = await command('add', '--role', 'terminal', '--name', 'new', '--set', 'region=north');
  expect(added).toMatchObject({ code: 0, stdout: expect.stringMatching(/^tm_\S+\n$/) });
  expect(added.stderr).toContain('new has no attribute branch, which relay.yaml line 8');
  expect(await command('add', '--role', 'feed', '--name', 'office')).toMatchObject({ stderr: '' });
});
