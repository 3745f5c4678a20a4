import { rmSync } from 'node:fs';
import path from 'node:path';
import type { TableList } from '@tidemark/protocol/api';
import type { BatchLine, PartialLine, WireRow } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import { agentRun } from '@tidemark/testing/agent-run';
import { Random } from '@tidemark/testing/random';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { afterEach, expect } from 'vitest';

/** Simulates a master whose tables have each kind of filter, and computes the rows that each terminal must hold. */

export const cleanup: (() => unknown)[] = [];
/** Stops the relays that a test of the calling file started. */
export function useCleanup(): void {
  afterEach(async () => {
    for (const stop of cleanup.splice(0).reverse()) await stop();
  });
}

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

export type PartialRow = PartialLine[2][number];

export const PRODUCT: TableSchema = table('product', { id: 'integer', name: 'text' }, ['id']);
export const STOCK: TableSchema = table('stock', { sku: 'integer', branch: 'integer', amount: 'numeric' }, ['sku']);
const PRICE: TableSchema = table(
  'price',
  { id: 'text', region: 'text', branch: 'integer', live: 'boolean', kind: 'text' },
  ['id'],
);
const AUDIT: TableSchema = table('audit', { id: 'integer', at: 'text', secret: 'text', branch: 'integer' }, ['id']);
const TABLES = [PRODUCT, STOCK, PRICE, AUDIT];

export const FEED = `
    tables:
      product: {}
      stock: { where: { branch: $branch } }
      price: { where: { region: $region, branch: $branch, live: true, kind: [a, null] }, indexes: [[region, branch]] }
      audit: { where: { branch: $branch }, columns: [id, at] }`;

export const TERMINALS = {
  seven: { branch: '7', region: 'north' },
  some: { branch: '7, 8,12345678901234567', region: 'south,no&rth' },
  nine: { branch: '9' },
  none: {},
};
export type Name = keyof typeof TERMINALS;

const BRANCHES = [7, 8, 9, '12345678901234567', null];
const REGIONS = ['north', 'south', 'no&rth', '7', null];

/**
 * Returns the part of a row that a terminal must receive, or null if it must not receive the row. Computed
 * independently of the relay's code.
 */
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

/** The simulated master: its rows by table and key. */
export class Master {
  readonly rows = new Map(TABLES.map((schema) => [schema, new Map<string, WireRow>()]));

  of(schema: TableSchema): Map<string, WireRow> {
    return this.rows.get(schema) ?? new Map<string, WireRow>();
  }

  /** Generates random lines of one transaction, in the form that a feed writes. */
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
      // Change the key of this row.
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
      // Change the same row again. Columns that the second line omits must keep the values of the first.
      if (random.chance(0.5)) changes.push(partial([next[0] ?? null, ...randomRow(random, schema).slice(1)]));
      rows.set(key, row);
      return [['p', id, changes]];
    }
    // Change the row twice in one line, to check that the relay applies both changes in order.
    if (kind < 0.8) {
      const last = [old[0] ?? null, ...randomRow(random, schema).slice(1)];
      rows.set(key, last);
      return [['u', id, [next, last]]];
    }
    return [['u', id, [next]]];
  }
}

export interface World {
  relay: TestRelay;
  master: Master;
  random: Random;
  file: (name: string) => string;
}

export async function world(seed: number, feed = FEED): Promise<World> {
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

export async function pull({ relay, file }: World, name: Name): Promise<void> {
  const run = await agentRun({ relayUrl: relay.url, token: relay.token(name), database: file(name) });
  expect(run.fault).toBe(null);
}

/** Checks that the terminal holds exactly its part of the master, and that the relay counts exactly that part. */
export async function expectEqual(world: World, name: Name, tables = TABLES): Promise<void> {
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

export const NAMES = Object.keys(TERMINALS) as Name[];
export const seeds = process.env.TIDEMARK_SEED ? [Number(process.env.TIDEMARK_SEED)] : [1, 2, Date.now() % 1_000_000];
