import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from '@tidemark/testing/processes';
import { expect, test } from './fixtures.ts';
import { set, takePictures } from './pictures.ts';

/**
 * Takes pictures of each state of the app that a test can cause, and checks each for violations of accessibility rules.
 */

const MINUTE = 60_000;

test('has no accessibility violation in the statuses of normal operation', async ({
  master,
  system,
  faultProxy,
  preset,
  launch,
}) => {
  test.setTimeout(400_000);
  const app = await launch(preset);
  await takePictures(app, '02-never-synced', 'never-synced');

  faultProxy.trouble = { kind: 'silence' };
  await app.page.keyboard.press('Shift+F5');
  await takePictures(app, '03-checking', 'checking');
  await app.page.keyboard.press('Escape');
  await expect(app.card('never-synced')).toBeVisible();

  faultProxy.trouble = { kind: 'slow', bytesPerSecond: 4_000 };
  await app.primary.click();
  await expect(app.headline).toContainText(/First sync: [1-9]/);
  await takePictures(app, '04-first-sync', 'first-sync');
  await app.page.keyboard.press('Escape');
  await takePictures(app, '05-cancelled', 'cancelled');
  faultProxy.trouble = { kind: 'none' };
  await app.primary.click();
  await takePictures(app, '06-up-to-date', 'up-to-date');

  await master.query('UPDATE customer SET points = points + 1 WHERE id <= 1284');
  await system.settled();
  await app.page.keyboard.press('Shift+F5');
  await takePictures(app, '07-behind', 'behind');
  await app.page.getByTestId('more').click();
  await takePictures(app, '07-behind-more');
  await app.page.getByRole('menuitem', { name: 'Sync up to…' }).click();
  await expect(app.page.getByRole('radio', { name: /Up to transaction/ }).first()).toBeVisible();
  await takePictures(app, '07-behind-up-to');
  await app.page.keyboard.press('Escape');

  for (let n = 0; n < 4; n++) await master.query('UPDATE stock SET quantity = quantity + 1');
  await system.settled();
  await app.page.keyboard.press('Shift+F5');
  await expect(app.headline).toHaveText('17,284 changes waiting');
  await takePictures(app, '08-far-behind', 'behind');

  faultProxy.trouble = { kind: 'slow', bytesPerSecond: 2_000 };
  await app.page.keyboard.press('F5');
  await takePictures(app, '09-syncing', 'syncing');
  await app.advanceClock(MINUTE);
  await takePictures(app, '10-syncing-slow', 'syncing-slow');
  await app.resetClock();
  faultProxy.trouble = { kind: 'none' };
  await expect(app.card('up-to-date')).toBeVisible();

  await app.advanceClock(3 * 60 * MINUTE);
  await takePictures(app, '11-up-to-date-old', 'up-to-date-old');
  await app.advanceClock(50 * 60 * MINUTE);
  await takePictures(app, '12-stale', 'stale');
  await app.resetClock();

  await app.page.getByTestId('pause').click();
  await app.page.getByRole('menuitem', { name: 'Until I resume' }).click();
  await takePictures(app, '13-paused', 'paused');
  await app.primary.click();
  await expect(app.card('paused')).toHaveCount(0);

  await app.page.getByRole('button', { name: 'Activity' }).click();
  await expect(app.page.getByTestId('run').first()).toBeVisible();
  await takePictures(app, '40-activity');
  await app.page.getByTestId('run').first().click();
  await takePictures(app, '41-activity-run');
  await app.page.keyboard.press('Escape');
  await app.page.getByRole('button', { name: 'Settings' }).click();
  await takePictures(app, '42-settings');
  await app.page.keyboard.press('F1');
  await takePictures(app, '43-shortcuts');
});

test('has no accessibility violation when the connection to the relay fails', async ({
  system,
  faultProxy,
  preset,
  launch,
}) => {
  test.setTimeout(400_000);
  const app = await launch(preset);
  await app.firstSync();
  const fails = async (trouble: typeof faultProxy.trouble, name: string, code: string) => {
    faultProxy.trouble = trouble;
    await app.page.keyboard.press('F5');
    await takePictures(app, name, code);
    await app.page.keyboard.press('Escape');
    faultProxy.trouble = { kind: 'none' };
    await app.page.keyboard.press('F5');
    await expect(app.card('up-to-date')).toBeVisible();
  };
  const html = '<html><body>Sign in to the guest network</body></html>';
  await fails({ kind: 'cut' }, '14-unreachable', 'unreachable');
  await fails({ kind: 'answer', status: 200, body: html }, '15-proxy', 'proxy');
  await fails({ kind: 'answer', status: 503, body: '', headers: { 'retry-after': '60' } }, '16-busy', 'busy');
  await fails({ kind: 'answer', status: 500, body: html }, '17-failed', 'failed');
  const problem = {
    code: 'protocol_unsupported',
    type: 'x',
    title: 'x',
    todo: 'x',
    status: 426,
    retry: false,
    params: {},
  };
  await fails({ kind: 'answer', status: 426, body: JSON.stringify(problem) }, '18-upgrade', 'upgrade');

  const token = readFileSync(system.tokenFile('branch-7'), 'utf8').trim();
  await set(app, { token: readFileSync(system.tokenFile('feed'), 'utf8').trim() });
  await takePictures(app, '19-forbidden', 'forbidden');
  await set(app, { token });
  await expect(app.card('up-to-date')).toBeVisible();
  const revoked = await run('relay', ['token', 'revoke', '--config', system.config, '--name', 'branch-7']);
  expect(revoked.code).toBe(0);
  await app.page.keyboard.press('F5');
  await takePictures(app, '20-signed-out', 'signed-out');
});

test('has no accessibility violation when the relay lost its feed, its newest data, or all data', async ({
  master,
  system,
  preset,
  launch,
}) => {
  test.setTimeout(400_000);
  const app = await launch(preset);
  await app.firstSync();

  await system.feed?.stop('SIGTERM');
  await system.relay?.stop('SIGTERM');
  const data = path.join(system.folder, 'relay-data');
  cpSync(data, `${data}-backup`, { recursive: true });
  await system.startRelay();
  await app.page.keyboard.press('F5');
  await takePictures(app, '21-relay-behind', 'relay-behind');

  system.startFeed();
  await master.query('UPDATE customer SET points = points + 1 WHERE id <= 9');
  await system.settled();
  await app.page.keyboard.press('F5');
  await expect(app.tile('position')).toContainText('2');
  await system.feed?.stop('SIGTERM');
  await system.relay?.stop('SIGTERM');
  rmSync(data, { recursive: true });
  cpSync(`${data}-backup`, data, { recursive: true });
  await system.startRelay();
  await app.page.keyboard.press('F5');
  await takePictures(app, '22-rewound', 'rewound');

  await system.relay?.stop('SIGTERM');
  rmSync(data, { recursive: true });
  await system.startRelay();
  system.startFeed();
  await system.settled();
  await app.page.keyboard.press('F5');
  await expect(app.detail).toContainText('cannot continue from its position');
  await takePictures(app, '23-new-epoch', 'rewound');
  await app.primary.click();
  await app.confirm(/Download/);
  await expect(app.card('up-to-date')).toBeVisible();
});

test('has no accessibility violation when a PC was away longer than the relay keeps changes', async ({
  master,
  system,
  preset,
  launch,
}) => {
  const app = await launch(preset);
  await app.firstSync();
  for (let n = 0; n < 3; n++) await master.query('UPDATE customer SET points = points + 1 WHERE id <= 9');
  await system.settled();
  await system.relay?.stop('SIGTERM');
  const config = readFileSync(system.config, 'utf8');
  writeFileSync(system.config, config.replace('shop: {}', 'shop: { retention: { days: 0.000001 } }'));
  await system.startRelay();
  await app.page.keyboard.press('F5');
  await takePictures(app, '28-resync', 'resync');
  await app.primary.click();
  await app.confirm(/Download/);
  await expect(app.tile('position')).toContainText('4');
  await expect(app.card('resync')).toHaveCount(0);
});

test('has no accessibility violation when the agent crashes or the local database is unusable', async ({
  system,
  preset,
  launch,
}) => {
  test.setTimeout(400_000);
  const app = await launch(preset);
  await app.firstSync();
  for (let kills = 1; kills <= 6; kills++) {
    await expect.poll(() => app.agentPid(), { timeout: 40_000 }).toBeTruthy();
    process.kill((await app.agentPid()) ?? 0, 'SIGKILL');
    await expect.poll(() => app.agentPid()).toBeUndefined();
    // Only the 16 s wait after the fifth crash is long enough to take the pictures.
    if (kills === 5) await takePictures(app, '24-agent-restarting', 'agent-restarting');
  }
  await takePictures(app, '25-agent-down', 'agent-down');
  await app.primary.click();
  await expect(app.card('up-to-date')).toBeVisible();
  await app.close(true);

  const other = system.startWatch(app.replica());
  await expect.poll(() => other.stdout).toContain('Up to date');
  const locked = await launch(null, app.folder);
  await takePictures(locked, '26-db-locked', 'db-locked');
  await locked.close(true);
  await other.stop('SIGTERM');

  writeFileSync(app.replica(), Buffer.concat([readFileSync(app.replica()).subarray(0, 4096), Buffer.alloc(60_000, 7)]));
  const damaged = await launch(null, app.folder);
  await takePictures(damaged, '27-db-damaged', 'db-damaged');
});

test('has no accessibility violation on a PC that is not set up', async ({ launch }) => {
  const app = await launch(null);
  await expect(app.page.getByTestId('first-run')).toBeVisible();
  await takePictures(app, '01-setup');
});
