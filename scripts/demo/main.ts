import { startPostgres } from '@tidemark/testing/postgres/embedded';
import { System } from '@tidemark/testing/system';
import pg from 'pg';
import { hasDisplay } from '../app.ts';
import { followInConsole, openApp, PC } from './branch-pc.ts';
import { createRetail, DEMO_SIZE, keepCommitting } from './retail.ts';
import { watchForShutdown } from './shutdown.ts';

/**
 * `npm start`: runs a head office, a relay and a branch PC on this machine.
 *
 * Order: start Postgres and fill it, start relay and feed, wait until the relay is caught up, open the branch PC. When
 * the demo ends, it stops these parts in the reverse order. When it is killed, the reaper of `testing/` ends them.
 */

/** The demo's feed in relay.yaml. A branch receives its region's prices and its own stock, customers and orders. */
const FEED = `shop:
    tables:
      region: {}
      branch: {}
      product: { indexes: [[category, name]] }
      price: { where: { region_id: $region } }
      stock: { where: { branch_id: $branch } }
      customer: { where: { branch_id: $branch } }
      orders: { where: { branch_id: $branch } }
      order_line: {}`;

/**
 * How often the demo prints a line to a pipe while the window is open, ms. Only a write shows that the pipe's reader is
 * gone.
 */
const REPORT_MS = 5_000;

const shutdown = watchForShutdown();
const requested = new Promise<void>((resolve) => shutdown.addEventListener('abort', () => resolve()));
const cleanups: (() => Promise<unknown>)[] = [];
const printRow = (name: string, value: string) => console.log(`  ${name.padEnd(16)}${value}`);

try {
  await run();
} catch (error) {
  if (!shutdown.aborted) {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exitCode = 1;
  }
} finally {
  console.log('Stopping…');
  for (const cleanup of cleanups.reverse()) await cleanup();
  console.log('Stopped. Every process of the demo has ended.');
}
process.exit();

async function run(): Promise<void> {
  console.log('Tidemark demo: a head office, a relay and a branch PC on this machine.');
  console.log('Starting Postgres 18 as head office, with a retail database…');
  const postgres = await startPostgres({ walLevel: 'logical' });
  cleanups.push(() => postgres.stop());
  const client = new pg.Client({ connectionString: postgres.url });
  // The next statement throws when the connection is lost, so this event needs no handling.
  client.on('error', () => {});
  await client.connect();
  cleanups.push(() => client.end());
  await createRetail(client, DEMO_SIZE);
  if (shutdown.aborted) return;

  const system = await System.start(postgres.url, null, {
    kill: 'SIGTERM',
    heartbeatMs: 5_000,
    feed: FEED,
    terminals: { [PC.name]: PC.attributes },
  });
  cleanups.push(() => system.stop());
  await Promise.race([system.settled(), requested, system.failed()]);
  if (shutdown.aborted) return;

  const idle = new AbortController();
  const working = keepCommitting(client, DEMO_SIZE, AbortSignal.any([shutdown, idle.signal]));
  cleanups.push(async () => {
    idle.abort();
    await working.catch(() => undefined);
  });

  console.log('');
  printRow(
    'head office',
    `Postgres 18 on port ${postgres.port} (process ${postgres.pid}), a few transactions a second`,
  );
  printRow('feed', `tidemark-feed (process ${system.feed?.child.pid})`);
  printRow('relay', `tidemark-relay at ${system.url} (process ${system.relay?.child.pid}); ${system.url}/readyz`);
  const pc = hasDisplay() ? await openApp(system, printRow) : followInConsole(system, printRow);
  cleanups.push(() => pc.stop());
  if (hasDisplay() && !process.stdout.isTTY) setInterval(() => console.log('The demo is running.'), REPORT_MS).unref();
  await Promise.race([pc.ended, requested, working, system.failed()]);
}
