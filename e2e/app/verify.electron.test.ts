import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { differences } from '@tidemark/testing/oracle';
import Database from 'better-sqlite3';
import type { App } from './app.ts';
import { expect, test } from './fixtures.ts';
import { set, takePictures } from './pictures.ts';

const CUSTOMER: Parameters<typeof differences>[3] = [
  { name: 'id', rule: 'integer' },
  { name: 'branch_id', rule: 'integer' },
  { name: 'name', rule: 'text' },
  { name: 'email', rule: 'text' },
  { name: 'points', rule: 'integer' },
  { name: 'joined_on', rule: 'text' },
];
const PRICE: Parameters<typeof differences>[3] = [
  { name: 'product_id', rule: 'integer' },
  { name: 'region_id', rule: 'integer' },
  { name: 'amount', rule: 'decimal' },
];

/** Changes the replica as another program could: deletes 3 customers, adds 1, and changes 2 prices. */
function tamper(file: string): void {
  const other = new Database(file);
  other.exec(`
    DELETE FROM customer WHERE id IN (7, 70, 700);
    INSERT INTO customer SELECT 900001, branch_id, name, email, points, joined_on FROM customer WHERE id = 8;
    UPDATE price SET amount = amount + 1 WHERE rowid IN (SELECT rowid FROM price LIMIT 2);
  `);
  other.close();
}

async function askToVerify(app: App): Promise<void> {
  await app.page.getByTestId('more').click();
  await app.page.getByRole('menuitem', { name: 'Verify data…' }).click();
  await expect(app.page.getByRole('dialog', { name: 'Verify the data of this PC?' })).toBeVisible();
}

test('verify: reports identical data, repairs altered rows, and lists each table', async ({
  master,
  preset,
  launch,
}) => {
  test.setTimeout(400_000);
  const first = await launch(preset);
  await first.firstSync();
  await askToVerify(first);
  await takePictures(first, '50-verify-dialog');
  await first.confirm('Verify data');
  const result = first.page.getByTestId('verify-result');
  await expect(result).toContainText(/Compared .*: identical/);
  await expect(first.page.getByText('Data verified')).toBeVisible();
  await takePictures(first, '52-verify-equal', 'up-to-date');
  await first.close(true);

  tamper(first.replica());
  expect(await differences(master, first.replica(), 'customer', CUSTOMER)).toHaveLength(4);

  const app = await launch(null, first.folder);
  await expect(app.card('up-to-date')).toBeVisible();
  await expect(
    app.page.getByText('Data verified'),
    'a result from before the restart is not notified again',
  ).toHaveCount(0);
  await app.page.keyboard.press('Control+F5');
  await app.confirm('Verify data');
  await expect(app.page.getByTestId('verify-result')).toContainText('6 rows in 2 tables differed and were repaired');
  await expect(app.page.getByText('Data repaired')).toBeVisible();
  await takePictures(app, '53-verify-repaired', 'up-to-date');
  expect(await differences(master, app.replica(), 'customer', CUSTOMER)).toEqual([]);
  expect(await differences(master, app.replica(), 'price', PRICE)).toEqual([]);

  await app.page.getByRole('button', { name: 'Show in Activity' }).click();
  await expect(app.page.getByTestId('run').first()).toContainText('Repaired');
  await takePictures(app, '54-activity-verify');
  await app.page.getByTestId('run').first().click();
  const record = app.page.getByRole('table', { name: 'Differences from the server' });
  await expect(record.getByRole('row', { name: 'customer 3 1 0 4' })).toBeVisible();
  await expect(record.getByRole('row', { name: 'price 0 0 2 2' })).toBeVisible();
  await takePictures(app, '55-activity-verify-run');
});

test('verify: a cancelled comparison reports no result', async ({ preset, faultProxy, launch }) => {
  test.setTimeout(400_000);
  const app = await launch(preset);
  await app.firstSync();
  faultProxy.trouble = { kind: 'slow', bytesPerSecond: 100 };
  await askToVerify(app);
  await app.confirm('Verify data');
  await expect(app.card('comparing')).toBeVisible({ timeout: 60_000 });
  await takePictures(app, '51-comparing', 'comparing');
  await app.page.keyboard.press('Escape');
  await expect(app.page.getByTestId('verify-result')).toContainText('The comparison was cancelled before it ended');
  faultProxy.trouble = { kind: 'none' };
  await app.page.keyboard.press('Control+F5');
  await app.confirm('Verify data');
  await expect(app.page.getByTestId('verify-result')).toContainText('identical');
});

test('rewound, then verify: a PC ahead of a restored relay downloads only the rows that differ', async ({
  master,
  system,
  preset,
  launch,
}) => {
  const app = await launch(preset);
  await app.firstSync();
  const data = path.join(system.folder, 'relay-data');
  await system.feed?.stop('SIGTERM');
  await system.relay?.stop('SIGTERM');
  cpSync(data, `${data}-backup`, { recursive: true });
  await system.startRelay();
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
  await expect(app.card('rewound')).toBeVisible();
  await app.primary.click();
  await app.confirm('Verify data');
  await expect(app.page.getByTestId('verify-result')).toContainText('9 rows in 1 table differed and were repaired');
});

test('scopes-changed: a PC with a new data selection shows the download size, then downloads the difference', async ({
  master,
  system,
  preset,
  launch,
}) => {
  test.setTimeout(400_000);
  await system.feed?.stop('SIGTERM');
  await system.relay?.stop('SIGTERM');
  rmSync(path.join(system.folder, 'relay-data', 'shop'), { recursive: true });
  const mine = '{ where: { branch_id: $branch } }';
  const tables = `branch: {}, region: {}, product: {}, price: {}, customer: ${mine}, stock: ${mine}`;
  const config = readFileSync(system.config, 'utf8');
  writeFileSync(system.config, config.replace('shop: {}', `shop: { tables: { ${tables} } }`));
  const keys = ['of-branch-3', 'of-branch-4'];
  for (const name of keys) await system.addToken('terminal', name, { branch: name.slice(-1) });
  await system.startRelay();
  system.startFeed();
  await system.settled();

  const app = await launch({ ...preset, tokenFile: system.tokenFile('of-branch-3') });
  await app.firstSync();
  const here = () => {
    const db = new Database(app.replica(), { readonly: true });
    const branches = db.prepare('SELECT DISTINCT branch_id FROM customer').pluck().all();
    const rows = db.prepare('SELECT count(*) FROM customer').pluck().get();
    db.close();
    return { branches, rows };
  };
  expect(here().branches).toEqual([3]);

  await set(app, { token: readFileSync(system.tokenFile('of-branch-4'), 'utf8').trim() });
  await app.page.keyboard.press('Shift+F5');
  await expect(app.card('scopes-changed')).toBeVisible();
  await expect(app.detail).toContainText(/About .* to download/);
  expect(here().branches, 'the old data stays readable').toEqual([3]);
  await takePictures(app, '56-scopes-changed', 'scopes-changed');
  await app.primary.click();
  await expect(app.card('up-to-date')).toBeVisible();
  const { rows } = await master.query('SELECT count(*) FROM customer WHERE branch_id = 4');
  expect(here()).toEqual({ branches: [4], rows: Number(rows[0].count) });
});
