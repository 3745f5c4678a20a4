import { rmSync } from 'node:fs';
import { test as base } from '@playwright/test';
import { FaultProxy } from '@tidemark/testing/fault-proxy';
import { connect } from '@tidemark/testing/oracle';
import { type EmbeddedPostgres, startPostgres } from '@tidemark/testing/postgres/embedded';
import { System } from '@tidemark/testing/system';
import type pg from 'pg';
import { createRetail, type RetailSize } from '../../scripts/demo/retail.ts';
import { type ElectronRuntime, findElectron } from '../../scripts/electron-runtime/runtime.ts';
import { App, type Preset } from './app.ts';

/** Enough rows for a first sync to last long enough to observe it. */
const SIZE: RetailSize = { products: 500, branches: 8, customers: 3000, orders: 4000 };

interface WorkerFixtures {
  runtime: ElectronRuntime;
  postgres: EmbeddedPostgres;
}

interface Fixtures {
  /** SQL client of the master, a retail database that belongs to this test. */
  master: pg.Client;
  /** The feed and relay of the master, already caught up. */
  system: System;
  /** The proxy that simulates the network between app and relay. */
  faultProxy: FaultProxy;
  /** Settings of a configured PC, which connects through {@link Fixtures.way}. */
  preset: Preset;
  /** Starts the app. The fixture closes it at the end of the test. */
  launch: (preset: Preset | null, folder?: string) => Promise<App>;
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  runtime: [
    async ({ browserName: _ }, use) => {
      await use(await findElectron(() => undefined));
    },
    { scope: 'worker' },
  ],
  postgres: [
    async ({ browserName: _ }, use) => {
      const postgres = await startPostgres({
        walLevel: 'logical',
        settings: { max_replication_slots: '64', max_wal_senders: '64' },
      });
      await use(postgres);
      await postgres.stop();
    },
    { scope: 'worker' },
  ],
  master: async ({ postgres }, use) => {
    const url = await postgres.createDatabase(`office_${Date.now()}`);
    const master = await connect(url);
    await createRetail(master, SIZE);
    await use(master);
    await master.end();
  },
  system: async ({ postgres, master }, use) => {
    const url = new URL(postgres.url);
    url.pathname = `/${master.database}`;
    const system = await System.start(url.href);
    await system.settled();
    await use(system);
    await system.stop();
    // Slots belong to the cluster, and the next test's feed uses the same name.
    await master.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active OR pg_terminate_backend(active_pid, 5000)',
    );
  },
  faultProxy: async ({ system }, use) => {
    const faultProxy = await FaultProxy.start(system.url);
    await use(faultProxy);
    await faultProxy.stop();
  },
  preset: async ({ system, faultProxy }, use) => {
    await use({ relayUrl: faultProxy.url, feed: 'shop', tokenFile: system.tokenFile('branch-7') });
  },
  launch: async ({ runtime }, use) => {
    const apps: App[] = [];
    await use(async (preset, folder) => {
      const app = await App.launch(runtime, preset, folder);
      apps.push(app);
      return app;
    });
    for (const app of apps) await app.close(true).catch(() => undefined);
    for (const app of apps) rmSync(app.folder, { recursive: true, force: true });
  },
});

export { expect } from '@playwright/test';
