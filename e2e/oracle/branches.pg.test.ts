import { connect, differences } from '@tidemark/testing/oracle';
import { startPostgres } from '@tidemark/testing/postgres/embedded';
import { Random } from '@tidemark/testing/random';
import { alter } from '@tidemark/testing/schema-changes';
import { System } from '@tidemark/testing/system';
import { createTables, oracleColumns, type RandomTable, work } from '@tidemark/testing/workload';
import type pg from 'pg';
import { afterEach, expect, test } from 'vitest';

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

/** TIDEMARK_SEED replays a failed run. */
const seeds = process.env.TIDEMARK_SEED ? [Number(process.env.TIDEMARK_SEED)] : [1, Date.now() % 1_000_000];

/** The attributes of each branch. `rows` below is the oracle's own form of each filter. */
const BRANCHES: Record<string, Record<string, string>> = {
  one: { branch: '1', region: 'north' },
  two: { branch: '2,3', region: 'south,east' },
  nobody: {},
};

const FILTERS = {
  everyone: { yaml: '{}', rows: () => 'true' },
  branch: {
    yaml: '{ where: { branch: $branch } }',
    rows: (name: string) => `branch::text = ANY (string_to_array('${BRANCHES[name]?.branch ?? ''}', ','))`,
  },
  region: {
    yaml: '{ where: { region: $region, live: true } }',
    rows: (name: string) => `live AND region = ANY (string_to_array('${BRANCHES[name]?.region ?? ''}', ','))`,
  },
  constant: { yaml: '{ where: { region: [north, null] } }', rows: () => `(region = 'north' OR region IS NULL)` },
};
type Filter = keyof typeof FILTERS;

interface Filtered {
  table: RandomTable;
  filter: Filter;
}

/** Adds to each table the columns that its filter tests. */
async function addFilters(master: pg.Client, random: Random, tables: RandomTable[]): Promise<Filtered[]> {
  const filtered = tables.map((table, n) => ({
    table,
    filter: (['everyone', 'branch', 'region', 'constant'] as const)[n % 4] ?? 'everyone',
  }));
  for (const { table, filter } of filtered) {
    if (filter === 'everyone') continue;
    const ident = `"${table.name.replaceAll('"', '""')}"`;
    await master.query(`ALTER TABLE ${ident} ADD branch smallint, ADD region varchar(9), ADD live boolean`);
    const quoted = (texts: string[]) => () => random.pick(texts);
    table.others.push(
      {
        name: 'branch',
        fixed: true,
        kind: { sql: 'smallint', rule: 'integer', literal: quoted(['1', '2', '3', '4']) },
      },
      {
        name: 'region',
        fixed: true,
        kind: { sql: 'varchar(9)', rule: 'text', literal: quoted(["'north'", "'south'", "'east'", "'west'"]) },
      },
      {
        name: 'live',
        fixed: true,
        kind: { sql: 'boolean', rule: 'boolean', literal: quoted(['true', 'true', 'false']) },
      },
    );
  }
  return filtered;
}

function feedYaml(tables: Filtered[]): string {
  const lines = tables.map(({ table, filter }) => `      ${JSON.stringify(table.name)}: ${FILTERS[filter].yaml}`);
  return ['shop:', '    tables:', ...lines].join('\n');
}

async function expectEqual(master: pg.Client, system: System, tables: Filtered[], name: string): Promise<void> {
  for (const { table, filter } of tables) {
    const rows = FILTERS[filter].rows(name);
    const found = await differences(master, system.database(name), table.name, oracleColumns(table), rows);
    expect(found, `${name}: ${table.name}`).toEqual([]);
  }
}

test.each(seeds)(
  'G1 L7: each terminal equals the rows of its scopes after schema changes, restarts and absences (seed %i)',
  async (seed) => {
    const random = new Random(seed + 2);
    const postgres = await startPostgres({ walLevel: 'logical' });
    cleanup.push(() => postgres.stop());
    const master = await connect(postgres.url);
    cleanup.push(() => master.end());
    const tables = await addFilters(master, random, await createTables(master, random, 6));
    const plain = tables.map(({ table }) => table);
    await work(master, random, plain, 40);
    const system = await System.start(postgres.url, null, { feed: feedYaml(tables), terminals: BRANCHES });
    cleanup.push(() => system.stop());

    for (let round = 0; round < 5; round++) {
      await work(master, random, plain, random.int(10, 60));
      if (round > 0) for (let n = random.int(0, 3); n > 0; n--) await alter(master, random, random.pick(plain));
      await work(master, random, plain, random.int(5, 40));
      if (random.chance(0.4)) {
        await system.feed?.stop('SIGKILL');
        if (random.chance(0.5)) await alter(master, random, random.pick(plain));
        await work(master, random, plain, 10);
        system.startFeed();
      }
      if (random.chance(0.3)) {
        await system.relay?.stop('SIGKILL');
        await system.startRelay();
      }
      await system.settled();
      // Some terminals skip rounds, so that they fall behind.
      for (const name of Object.keys(BRANCHES)) {
        if (round < 4 && random.chance(0.4)) continue;
        await system.pull(system.database(name), [], name);
        await expectEqual(master, system, tables, name);
      }
    }
  },
  240_000,
);
