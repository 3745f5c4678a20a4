import type { TableSchema } from '@tidemark/protocol/schema';
import type { App } from './app.ts';
import { column, dataFolder } from './data-replica.ts';
import { expect, test } from './fixtures.ts';
import { takePictures } from './pictures.ts';

/** The data screen, in the real app, on replicas with tables of every kind. */

const ROWS = 40_000;
const ORDERS: TableSchema = {
  name: 'orders',
  columns: [
    column('id', 'integer', { source: 'bigint' }),
    column('customer', 'text', { source: 'varchar(80)' }),
    column('total', 'numeric', {
      source: 'numeric(12,2)',
      logical: { kind: 'decimal', precision: 12, scale: 2 },
    }),
    column('note', 'text'),
    column('receipt', 'blob', { source: 'bytea' }),
    column('placed_at', 'text', { source: 'timestamptz' }),
  ],
  key: ['id'],
};
const ORDER_VALUES = [
  '9007199254740000 + i',
  `printf('Customer %05d', (i * 7919) % ${ROWS})`,
  '(i % 5000) / 4.0',
  "CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'Deliver to the back door' ELSE printf('%.*c', 20000, 'x') END",
  'CASE i % 3 WHEN 0 THEN NULL ELSE zeroblob(i % 3000) END',
  "strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1700000000 + i * 60, 'unixepoch')",
].join(', ');
const LONG = 'a_table_with_a_name_of_sixty_three_characters_as_postgres_allows';

const rowsOf = (app: App) => app.page.getByTestId('grid').locator('.ag-row');
const cell = (app: App, row: number, name: string) =>
  app.page.getByTestId('grid').locator(`.ag-row[row-index="${row}"] .ag-cell[col-id="${name}"]`);
const total = (app: App) => app.page.getByTestId('total');

async function openData(app: App, table?: string): Promise<void> {
  await app.page.getByRole('button', { name: 'Data', exact: true }).click();
  if (table !== undefined) await app.page.getByRole('button', { name: new RegExp(`^${table}`) }).click();
}

test('a person finds a table and reads, sorts and filters its rows', async ({ launch }) => {
  const data = dataFolder();
  data.addTable(ORDERS, ROWS, ORDER_VALUES);
  data.addTable({ name: LONG.slice(0, 63), columns: [column('i'.repeat(63), 'text')], key: [] }, 3, "'value ' || i");
  data.addTable({ name: 'empty_table', columns: [column('id', 'integer')], key: ['id'] }, 0, '');
  data.addSmallTables(200);
  data.db.close();
  const app = await launch(data.preset, data.folder);
  await openData(app, 'orders');
  await expect(cell(app, 0, '0')).toHaveText('9007199254740001');
  await expect(cell(app, 0, '2')).toHaveText('0.25');
  await expect(cell(app, 3, '3')).toHaveText('NULL');
  await expect(cell(app, 0, '4')).toHaveText(/BLOB 1\s?byte/);
  await expect(total(app)).toHaveText('40,000 rows');
  await expect(app.page.getByTestId('as-of')).toContainText('Data as of');
  await expect(app.page.getByText('tidemark_meta')).toHaveCount(0);
  await takePictures(app, '80-data');

  await app.page.locator('.ag-header-cell[col-id="1"]').click();
  await expect(cell(app, 0, '1')).toHaveText('Customer 00000');
  await app.page.locator('.ag-header-cell[col-id="1"]').click();
  await expect(cell(app, 0, '1')).toHaveText(`Customer ${ROWS - 1}`);

  await cell(app, 0, '1').click();
  await app.page.keyboard.press('Control+End');
  await expect(cell(app, ROWS - 1, '1')).toHaveText('Customer 00000');
  await app.page.keyboard.press('Control+Home');

  await app.page.getByRole('button', { name: 'Add filter' }).click();
  await app.page.getByRole('textbox', { name: 'Value' }).fill('ten');
  await app.page.getByRole('button', { name: 'Apply' }).click();
  await expect(app.page.getByText('Enter a number, for example 12.5')).toBeVisible();
  await takePictures(app, '81-data-filter');
  await app.page.getByRole('textbox', { name: 'Value' }).fill('9007199254740993');
  await app.page.getByRole('button', { name: 'Apply' }).click();
  await expect(total(app)).toHaveText('1 of 40,000 rows match');
  await expect(cell(app, 0, '0')).toHaveText('9007199254740993');
  await app.page.getByRole('button', { name: /^Remove the filter id equals/ }).click();
  await expect(total(app)).toHaveText('40,000 rows');

  await app.page.getByRole('button', { name: 'Add filter' }).click();
  await app.page.getByRole('textbox', { name: 'Value' }).fill('5');
  await app.page.getByRole('button', { name: 'Apply' }).click();
  await expect(app.page.getByText('No rows match.')).toBeVisible();
  await takePictures(app, '82-data-no-match');
  await app.page.getByRole('button', { name: 'Clear filters' }).click();
  await expect(total(app)).toHaveText('40,000 rows');

  await app.page.getByRole('textbox', { name: 'Find a table' }).fill('sixty_three');
  await app.page.keyboard.press('Enter');
  await expect(rowsOf(app)).toHaveCount(3);
  await takePictures(app, '83-data-long-names');
  await app.page.getByRole('textbox', { name: 'Find a table' }).fill('empty');
  await app.page.keyboard.press('Enter');
  await expect(app.page.getByText('This table has no rows on this PC.')).toBeVisible();
  await takePictures(app, '84-data-empty-table');
});

test('a person opens a row with the keyboard, reads a long value and copies it', async ({ launch }) => {
  const data = dataFolder();
  data.addTable(ORDERS, 100, ORDER_VALUES);
  data.db.close();
  const app = await launch(data.preset, data.folder);
  const clipboard = () => app.electron.evaluate(({ clipboard: board }) => board.readText());
  await expect(app.page.getByRole('navigation', { name: 'Screens' })).toBeVisible();
  await app.page.keyboard.press('Control+3');
  await cell(app, 2, '0').click();
  await app.page.keyboard.press('Control+c');
  await expect.poll(clipboard).toBe('9007199254740003');
  await app.page.keyboard.press('Enter');
  const record = app.page.getByTestId('record');
  await expect(record).toContainText('9007199254740003');
  await expect(record.getByText('timestamptz')).toBeVisible();
  await takePictures(app, '85-data-row');
  await record.getByRole('button', { name: 'Show all' }).click();
  await expect(record.getByRole('button', { name: 'Show all' })).toHaveCount(0);
  await record.getByRole('button', { name: 'Copy note' }).click();
  await expect.poll(clipboard).toBe('x'.repeat(20_000));
  await record.getByRole('button', { name: 'Copy row' }).click();
  await expect.poll(clipboard).toContain('customer: Customer');
  await app.page.keyboard.press('Escape');
  await expect(record).toHaveCount(0);
});

test('reader-hangs: a query that does not end is stopped, and the next one works', async ({ launch }) => {
  const data = dataFolder();
  data.addTable(ORDERS, 1000, ORDER_VALUES);
  data.db.close();
  const app = await launch(data.preset, data.folder);
  await openData(app, 'orders');
  await expect(cell(app, 0, '0')).toBeVisible();
  const reader = () =>
    app.electron.evaluate(
      ({ app: main }) => main.getAppMetrics().find((each) => each.name === 'Tidemark data reader')?.pid,
    );
  const agent = await app.agentPid();
  const stopped = await reader();
  process.kill(stopped ?? 0, 'SIGSTOP');
  await app.page.locator('.ag-header-cell[col-id="1"]').click();
  await expect(app.page.getByText('Still reading…')).toBeVisible();
  await app.page.getByRole('button', { name: 'Cancel' }).click();
  await expect(app.page.getByRole('alert')).toContainText('Reading the data was cancelled');
  await takePictures(app, '86-data-cancelled');
  await app.page.getByRole('button', { name: 'Try again' }).click();
  await expect(cell(app, 0, '0')).toBeVisible();
  expect(await reader()).not.toBe(stopped);
  expect(await app.agentPid()).toBe(agent);
});

test('shows that there is no data yet', async ({ launch }) => {
  const app = await launch(null);
  await openData(app);
  await expect(app.page.getByText('No data on this PC yet.')).toBeVisible();
  await takePictures(app, '87-data-none');
});

test('the window loads the grid with the data screen, and not before', async ({ launch }) => {
  const app = await launch(null);
  await expect(app.page.getByRole('navigation', { name: 'Screens' })).toBeVisible();
  const loaded = () => app.page.evaluate("document.querySelectorAll('link[href*=data-screen]').length");
  expect(await loaded()).toBe(0);
  await openData(app);
  await expect(app.page.getByText('No data on this PC yet.')).toBeVisible();
  expect(await loaded()).toBeGreaterThan(0);
});
