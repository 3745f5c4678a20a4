import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startPostgres } from '@tidemark/testing/postgres/embedded';
import { System } from '@tidemark/testing/system';
import pg from 'pg';
import { APP, buildApp, hasDisplay, sandboxArgs } from '../app.ts';
import { electronEnv, findElectron } from '../electron-runtime/runtime.ts';
import { ensureSystem } from '../setup.ts';
import { createRetail, DEMO_SIZE, keepCommitting } from './retail.ts';

/** `npm start`: head office, relay and a branch PC on this machine, and what is started is stopped again. */

/** The demo's part of relay.yaml: a branch gets the prices of its region, and its own stock, customers and orders. */
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
/** The demo's branch PC: branch 7, which is in region 4. */
const PC = 'demo-branch-7';
const BRANCH = { branch: '7', region: '4' };

/** A second signal after this time, ms, means: at once. */
const INSIST_MS = 5_000;

const stop = new AbortController();
let stoppingSince = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // Whoever signals the whole group may reach us twice; only a person who insists leaves things running.
    if (stoppingSince !== 0 && Date.now() - stoppingSince > INSIST_MS) process.exit(1);
    stoppingSince ||= Date.now();
    stop.abort();
  });
}
const stopped = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()));

const cleanup: (() => Promise<unknown>)[] = [];
const say = (line: string) => console.log(line);
const row = (what: string, where: string) => say(`  ${what.padEnd(16)}${where}`);

try {
  await run();
} catch (error) {
  if (!stop.signal.aborted) {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exitCode = 1;
  }
} finally {
  say('Stopping…');
  for (const end of cleanup.reverse()) await end();
  say('Stopped. Nothing of the demo is left running.');
}
process.exit();

async function run(): Promise<void> {
  say('Tidemark demo: a head office, a relay and a branch PC on this machine.');
  say('Starting Postgres 18 as head office, with a retail database…');
  const postgres = await startPostgres({ walLevel: 'logical' });
  cleanup.push(() => postgres.stop());
  const client = new pg.Client({ connectionString: postgres.url });
  // A lost server shows in the next statement.
  client.on('error', () => {});
  await client.connect();
  cleanup.push(() => client.end());
  await createRetail(client, DEMO_SIZE);
  if (stop.signal.aborted) return;

  const system = await System.start(postgres.url, null, {
    kill: 'SIGTERM',
    feed: FEED,
    terminals: { [PC]: BRANCH },
  });
  cleanup.push(() => system.stop());
  await system.settled();
  if (stop.signal.aborted) return;
  const working = keepCommitting(client, DEMO_SIZE, stop.signal);
  cleanup.push(async () => {
    stop.abort();
    await working;
  });
  const failed = working.catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });

  say('');
  row('head office', `Postgres 18 on port ${postgres.port} (process ${postgres.pid}), a few transactions a second`);
  row('feed', `tidemark-feed (process ${system.feed?.child.pid})`);
  row('relay', `tidemark-relay at ${system.url} (process ${system.relay?.child.pid}); ${system.url}/metrics`);
  const app = hasDisplay() ? await openApp(system) : followInConsole(system);
  say('');
  await Promise.race([app, stopped, failed, system.failed()]);
}

/** The desktop app as a PC that has not synced yet. Resolves when its window is closed. */
async function openApp(system: System): Promise<void> {
  const folder = path.join(system.folder, 'branch-pc');
  mkdirSync(folder);
  const preset = path.join(folder, 'preset.json');
  writeFileSync(
    preset,
    JSON.stringify({
      relayUrl: system.url,
      feed: 'shop',
      tokenFile: system.tokenFile(PC),
      centralName: 'Central database',
      branchName: 'Branch 7',
    }),
  );
  ensureSystem({ display: false });
  buildApp();
  const electron = await findElectron(say);
  const child = spawn(electron.electronPath, [APP, `--user-data-dir=${folder}`, ...sandboxArgs()], {
    env: { ...process.env, ...electronEnv(electron), TIDEMARK_PRESET: preset },
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  cleanup.push(() => end(child));
  row('branch PC', `the Tidemark window (process ${child.pid}); its replica is under ${folder}`);
  say('\nClick "Start first sync" in the window. Closing the window ends the demo.');
  const [code] = await once(child, 'exit');
  if (code !== 0 && !stop.signal.aborted) throw new Error(`the app ended with code ${String(code)}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** Without a display: the terminal alone, in this console. */
async function followInConsole(system: System): Promise<void> {
  const terminal = system.startWatch(system.database(), PC);
  terminal.child.stdout?.pipe(process.stdout);
  terminal.child.stderr?.pipe(process.stderr);
  row('branch PC', `tidemark-terminal watch (process ${terminal.child.pid}); its replica is ${system.database()}`);
  say('\nThere is no display here, so this console follows the branch PC. To see the window, run it on a desktop,');
  say('or under a virtual display: xvfb-run -a npm start. Ctrl+C ends the demo.');
  const { code } = await terminal.ended;
  if (!stop.signal.aborted) throw new Error(`the terminal ended with code ${String(code)}`);
}
