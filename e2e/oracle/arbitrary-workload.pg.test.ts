import { connect, differences } from '@tidemark/testing/oracle';
import { startPostgres } from '@tidemark/testing/postgres/embedded';
import { Random } from '@tidemark/testing/random';
import { System } from '@tidemark/testing/system';
import { createTables, oracleColumns, type RandomTable, work } from '@tidemark/testing/workload';
import { afterEach, expect, test } from 'vitest';

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

/** TIDEMARK_SEED replays a failed run. */
const seeds = process.env.TIDEMARK_SEED ? [Number(process.env.TIDEMARK_SEED)] : [1, Date.now() % 1_000_000];

async function equal(
  master: Awaited<ReturnType<typeof connect>>,
  system: System,
  tables: RandomTable[],
  database?: string,
): Promise<void> {
  await system.settled();
  await system.pull(database);
  for (const table of tables) {
    expect(await differences(master, database ?? system.database(), table.name, oracleColumns(table))).toEqual([]);
  }
}

test.each(seeds)(
  'P3: after an arbitrary workload every terminal equals the master, value by value (seed %i)',
  async (seed) => {
    const random = new Random(seed);
    const postgres = await startPostgres({ walLevel: 'logical' });
    cleanup.push(() => postgres.stop());
    const master = await connect(postgres.url);
    cleanup.push(() => master.end());

    const tables = await createTables(master, random, 6);
    await work(master, random, tables, 60);
    const system = await System.start(postgres.url);
    cleanup.push(() => system.stop());
    await equal(master, system, tables);

    for (let round = 0; round < 3; round++) {
      await work(master, random, tables, 80);
      await equal(master, system, tables);
    }

    // A terminal that starts later installs a snapshot and must hold the same rows.
    await equal(master, system, tables, system.database('late'));
  },
);

test.each(seeds)(
  'killed-anywhere: terminals equal the master after feed, relay and terminal are killed while rows flow (seed %i)',
  async (seed) => {
    const random = new Random(seed + 1);
    const postgres = await startPostgres({ walLevel: 'logical' });
    cleanup.push(() => postgres.stop());
    const master = await connect(postgres.url);
    const writer = await connect(postgres.url);
    cleanup.push(
      () => master.end(),
      () => writer.end(),
    );

    const tables = await createTables(master, random, 4);
    await work(master, random, tables, 40);
    const system = await System.start(postgres.url);
    cleanup.push(() => system.stop());
    await system.settled();

    for (let round = 0; round < 4; round++) {
      const flowing = work(writer, random, tables, 120);
      const pull = system.startPull();
      const victims = random.chance(0.5) ? ['feed', 'relay', 'terminal'] : [random.pick(['feed', 'relay', 'terminal'])];
      await new Promise((resolve) => setTimeout(resolve, random.int(50, 900)));
      if (victims.includes('terminal')) await pull.stop('SIGKILL');
      else await pull.ended;
      if (victims.includes('feed')) await system.feed?.stop('SIGKILL');
      if (victims.includes('relay')) await system.relay?.stop('SIGKILL');
      if (victims.includes('relay')) await system.startRelay();
      if (victims.includes('feed')) system.startFeed();
      await flowing;
      await equal(master, system, tables);
    }
  },
);
