import { readFileSync } from 'node:fs';
import { differences } from '@tidemark/testing/oracle';
import Database from 'better-sqlite3';
import { expect, test } from './fixtures.ts';

const TABLES: Record<string, Parameters<typeof differences>[3]> = {
  customer: [
    { name: 'id', rule: 'integer' },
    { name: 'branch_id', rule: 'integer' },
    { name: 'name', rule: 'text' },
    { name: 'email', rule: 'text' },
    { name: 'points', rule: 'integer' },
    { name: 'joined_on', rule: 'text' },
  ],
  price: [
    { name: 'product_id', rule: 'integer' },
    { name: 'region_id', rule: 'integer' },
    { name: 'amount', rule: 'decimal' },
    { name: 'valid_from', rule: 'text' },
    { name: 'updated_at', rule: 'timestamptz' },
  ],
};

test('first-sync, waiting, sync-now: the window and the replica show the same data', async ({
  master,
  system,
  preset,
  launch,
}) => {
  const app = await launch(preset);
  const equal = async () => {
    for (const [table, columns] of Object.entries(TABLES))
      expect(await differences(master, app.replica(), table, columns)).toEqual([]);
  };
  await expect(app.card('never-synced')).toBeVisible();
  await expect(app.detail).toContainText('8 tables ready to download');
  await app.primary.click();
  await expect(app.card('up-to-date')).toBeVisible();
  await expect(app.detail).toContainText('0 changes waiting');
  await expect(app.tile('waiting')).toContainText('0');
  await expect(app.tile('position')).toContainText('1');
  await equal();

  await master.query('UPDATE customer SET points = points + 1 WHERE id <= 1284');
  await master.query('UPDATE price SET amount = amount + 0.01 WHERE region_id = 2');
  await system.settled();
  await app.primary.click();
  await expect(app.headline).toHaveText('1,784 changes waiting');
  await expect(app.tile('waiting')).toContainText('in 2 transactions');
  await expect(app.tile('position')).toContainText('head 3');
  await expect(app.page).toHaveTitle(/1,784 waiting/);

  await app.page.keyboard.press('F5');
  await expect(app.card('up-to-date')).toBeVisible();
  await expect(app.tile('position')).toContainText('3');
  await expect(app.tile('last-sync')).toContainText('1,784 changes');
  await equal();

  // Read the view that other programs on the PC use.
  const other = new Database(app.replica(), { readonly: true });
  expect(other.prepare('SELECT seq, waiting, code FROM tidemark_status').get()).toEqual({
    seq: 3,
    waiting: 0,
    code: 'up-to-date',
  });
  other.close();

  await app.page.getByRole('button', { name: 'Activity' }).click();
  await expect(app.page.getByTestId('run').first()).toContainText('1,784');
});

test('one-at-a-time, up-to: a person chooses the transaction at which the sync ends', async ({
  master,
  system,
  preset,
  launch,
}) => {
  const app = await launch(preset);
  await app.firstSync();
  for (let n = 1; n <= 4; n++) await master.query('UPDATE customer SET points = points + 1 WHERE id <= $1', [n]);
  await system.settled();
  await app.page.keyboard.press('Shift+F5');
  await expect(app.headline).toHaveText('10 changes waiting');

  await app.page.getByTestId('more').click();
  await app.page.getByRole('menuitem', { name: 'Sync one transaction' }).click();
  await expect(app.headline).toHaveText('9 changes waiting');
  await expect(app.tile('position')).toContainText('2');

  await app.page.getByTestId('more').click();
  await app.page.getByRole('menuitem', { name: 'Sync up to…' }).click();
  await app.page.getByRole('radio', { name: 'Up to transaction 4' }).check();
  await app.page.getByRole('button', { name: 'Sync up to 4' }).click();
  await expect(app.headline).toHaveText('4 changes waiting');
  await expect(app.tile('position')).toContainText('4');

  await app.primary.click();
  await expect(app.card('up-to-date')).toBeVisible();
  expect(await differences(master, app.replica(), 'customer', TABLES.customer ?? [])).toEqual([]);
});

test('cancelled, then continued: the next sync resumes a cancelled download', async ({
  master,
  preset,
  faultProxy,
  launch,
}) => {
  const app = await launch(preset);
  await expect(app.card('never-synced')).toBeVisible();
  faultProxy.trouble = { kind: 'slow', bytesPerSecond: 20_000 };
  await app.primary.click();
  await expect(app.headline).toContainText(/First sync: [1-9]/);
  await app.page.keyboard.press('Escape');
  await expect(app.card('cancelled')).toBeVisible();
  faultProxy.trouble = { kind: 'none' };
  await app.primary.click();
  await expect(app.card('up-to-date')).toBeVisible();
  expect(await differences(master, app.replica(), 'customer', TABLES.customer ?? [])).toEqual([]);
});

test('paused: a pause survives a restart, and a manual sync still works', async ({ preset, launch }) => {
  const app = await launch({ ...preset, everyMinutes: 1 });
  await app.firstSync();
  await app.page.getByTestId('pause').click();
  await app.page.getByRole('menuitem', { name: /Until I resume/i }).click();
  await expect(app.card('paused')).toBeVisible();
  await app.close(true);
  const again = await launch(null, app.folder);
  await expect(again.card('paused')).toBeVisible();
  await again.primary.click();
  await expect(again.card('up-to-date')).toBeVisible();
});

test('agent-killed: the agent restarts and syncs again', async ({ master, system, preset, launch }) => {
  const app = await launch(preset);
  await app.firstSync();
  await master.query('UPDATE customer SET points = points + 7');
  await system.settled();
  const pid = await app.agentPid();
  expect(pid).toBeTruthy();
  process.kill(pid ?? 0, 'SIGKILL');
  await expect(app.card('agent-restarting')).toBeVisible();
  await expect(app.headline).toHaveText('3,000 changes waiting');
  await app.primary.click();
  await expect(app.card('up-to-date')).toBeVisible();
  expect(await differences(master, app.replica(), 'customer', TABLES.customer ?? [])).toEqual([]);
});

test('schedule: an automatic sync receives changes', async ({ master, system, preset, launch }) => {
  test.slow();
  const app = await launch({ ...preset, everyMinutes: 1 });
  await app.firstSync();
  await master.query('UPDATE customer SET points = points + 7 WHERE id = 5');
  await system.settled();
  await expect(app.tile('position')).toContainText('head 2', { timeout: 90_000 });
  await expect(app.card('up-to-date')).toBeVisible();
  expect(await differences(master, app.replica(), 'customer', TABLES.customer ?? [])).toEqual([]);
});

test('set up by hand: the first-run steps ask for server, data set and key, test them, and report each mistake', async ({
  system,
  faultProxy,
  launch,
}) => {
  const app = await launch(null);
  await expect(app.headline).toHaveText('Welcome to Tidemark');
  const page = app.page;
  await page.getByLabel('Server address').fill('relay');
  await page.getByRole('button', { name: 'Next' }).click();
  await expect(page.getByText(/http/).first()).toBeVisible();
  await page.getByLabel('Server address').fill(faultProxy.url);
  await page.getByLabel('Data set').fill('shop');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('textbox', { name: 'Key' }).fill('not-the-key');
  await page.getByRole('button', { name: 'Test and continue' }).click();
  await expect(page.getByText(/does not accept the key/)).toBeVisible();
  await page.getByRole('textbox', { name: 'Key' }).fill(readFileSync(system.tokenFile('branch-7'), 'utf8').trim());
  await page.getByRole('button', { name: 'Test and continue' }).click();
  await page.getByRole('textbox', { name: 'Name of this PC' }).fill('Branch 7');
  await page.keyboard.press('Enter');
  await expect(app.card('up-to-date')).toBeVisible();
});
