import type { BatchLine } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import type { SetAsideReason } from '@tidemark/protocol/trouble';
import { TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import type { App } from './app.ts';
import { test as base, expect } from './fixtures.ts';
import { takePictures } from './pictures.ts';

/** Tests of troubles at head office as the app shows them: tables that are set aside, and a fault of the feed. */

const NAMES = ['customer', 'order_line', 'orders', 'payment', 'price', 'product', 'promotion_of_the_week', 'stock'];
const ROWS = 40;

const schemaOf = (name: string): TableSchema => ({
  name,
  columns: [
    { name: 'id', type: 'integer', source: 'bigint' },
    { name: 'note', type: 'text', source: 'text' },
  ],
  key: ['id'],
});

/** Interval of the heartbeats in ms, as that of a real feed. The relay reports a feed without them as disconnected. */
const HEARTBEAT_MS = 5_000;

/**
 * A feed that the test drives by hand, on a real relay. After the base copy it sends heartbeats, so that the
 * app finds it connected however slowly the test runs.
 */
class HandFeed {
  readonly relay: TestRelay;
  #pulse: NodeJS.Timeout | undefined;
  /** The last batch in order. Each batch is sent after the answer to the one before. */
  #sent: Promise<void> = Promise.resolve();
  /** Ids of the tables' present schemas. */
  readonly #ids = new Map(NAMES.map((name, n) => [name, n + 1]));
  readonly #marks = new Map<string, TableSchema['setAside']>();
  #nextId = NAMES.length + 1;

  constructor(relay: TestRelay) {
    this.relay = relay;
  }

  async base(): Promise<void> {
    await this.relay.session();
    const rows = Array.from({ length: ROWS }, (_, n) => [n + 1, `row ${n + 1}`]);
    const lines = NAMES.flatMap((name): BatchLine[] => {
      const id = this.#id(name);
      return [
        ['s', id, schemaOf(name)],
        ['i', id, rows],
      ];
    });
    // In a batch, the declarations precede the copy.
    await this.relay.baseOf([...lines.filter(([kind]) => kind === 's'), ...lines.filter(([kind]) => kind === 'i')]);
    await this.#heartbeat();
    this.#pulse = setInterval(() => void this.#inOrder(() => this.#heartbeat()), HEARTBEAT_MS);
  }

  /** Ends the heartbeats and the relay. */
  async stop(): Promise<void> {
    clearInterval(this.#pulse);
    await this.#sent;
    await this.relay.stop();
  }

  /** Sends a heartbeat from the end of the master's log. */
  #heartbeat(): Promise<void> {
    return this.relay.current();
  }

  #inOrder(send: () => Promise<void>): Promise<void> {
    this.#sent = this.#sent.then(send);
    return this.#sent;
  }

  /** Updates a row of `stock`, and changes marks in the same transaction. A null reason ends the mark. */
  async commit(marks: [name: string, reason: SetAsideReason | null][] = []): Promise<void> {
    const at = new Date().toISOString();
    const alters = marks.flatMap(([name, reason]): BatchLine[] => {
      const from = this.#id(name);
      const before = { ...schemaOf(name), ...(this.#marks.get(name) && { setAside: this.#marks.get(name) }) };
      const setAside = reason === null ? undefined : { reason, asOf: at };
      const id = this.#nextId++;
      this.#ids.set(name, id);
      this.#marks.set(name, setAside);
      return [
        ['s', from, before],
        ['s', id, { ...schemaOf(name), ...(setAside && { setAside }) }],
        ['a', id, from, ['id', 'note']],
      ];
    });
    const stock = this.#id('stock');
    await this.#inOrder(async () => {
      const change: BatchLine[] = [
        ['s', stock, schemaOf('stock')],
        ['u', stock, [[1, `changed at ${at}`]]],
      ];
      await this.relay.transaction([...alters, ...change], at);
      await this.#heartbeat();
    });
  }

  /** Reports a fault, with a detail that no branch may see. Null: the fault is gone. */
  async report(code: string | null): Promise<void> {
    const since = new Date(Date.now() - 25 * 60_000).toISOString();
    const fault = code === null ? null : { code, detail: 'a secret of branch 8', since, attempts: 7 };
    const answer = await fetch(`${this.relay.url}/v1/feeds/shop/troubles`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.relay.token('feed')}` },
      body: JSON.stringify({ fault, tables: [], more: 0 }),
    });
    expect(answer.status).toBe(200);
    await this.#inOrder(() => this.#heartbeat());
  }

  #id(name: string): number {
    return this.#ids.get(name) ?? 0;
  }
}

const test = base.extend<{ feed: HandFeed; app: App }>({
  feed: async ({ browserName: _ }, use) => {
    const feed = new HandFeed(await TestRelay.start());
    await feed.base();
    await use(feed);
    await feed.stop();
  },
  app: async ({ feed, launch }, use) => {
    const app = await launch({ relayUrl: feed.relay.url, feed: 'shop', tokenFile: feed.relay.tokenFile('terminal') });
    await app.firstSync();
    await use(app);
  },
});

function rowsInFile(app: App, sql: string): unknown[] {
  const db = new Database(app.replica(), { readonly: true });
  try {
    return db.prepare(sql).all();
  } finally {
    db.close();
  }
}

test('set-aside: a table that is set aside is named on every screen until it follows again', async ({ feed, app }) => {
  test.setTimeout(300_000);
  await feed.commit([['orders', 'row_too_large']]);
  await app.page.keyboard.press('F5');
  await expect(app.headline).toHaveText('Table orders is set aside');
  await expect(app.detail).toContainText('A row of this table is larger than the limit. All other tables are current');
  await expect(app.page.getByTestId('pipeline')).toContainText('1 table set aside');
  const marked = app.page.getByTestId('table-set-aside');
  await expect(marked).toContainText('Set aside, as of');
  await expect(app.page.getByTestId('status-bar')).toHaveText('1 table set aside');
  await expect(app.page.getByText(/up to date/i)).toHaveCount(0);
  await takePictures(app, '64-set-aside', 'set-aside');
  await app.page.getByRole('checkbox', { name: 'Set aside only (1)' }).check();
  await expect(app.page.getByTestId('table')).toHaveCount(0);
  expect(rowsInFile(app, 'SELECT seq, tables_set_aside, code FROM tidemark_status')).toEqual([
    { seq: 2, tables_set_aside: 1, code: 'set-aside' },
  ]);
  expect(rowsInFile(app, 'SELECT name, reason FROM tidemark_table_status WHERE set_aside')).toEqual([
    { name: 'orders', reason: 'row_too_large' },
  ]);

  await app.page.getByRole('button', { name: 'Activity' }).click();
  await expect(app.page.getByTestId('run').first()).toContainText('Table orders was set aside');
  await takePictures(app, '65-set-aside-activity');
  await app.page.getByTestId('run').first().click();
  await expect(app.page.getByRole('list', { name: 'Tables set aside' })).toBeVisible();
  await takePictures(app, '66-set-aside-run');
  await app.page.keyboard.press('Escape');
  await app.page.getByRole('button', { name: 'Sync', exact: true }).click();

  await feed.commit([['orders', null]]);
  await app.page.keyboard.press('F5');
  await expect(app.card('up-to-date')).toBeVisible();
  await expect(marked).toHaveCount(0);
  await expect(app.page.getByTestId('table')).toHaveCount(NAMES.length);
  await app.page.getByRole('button', { name: 'Activity' }).click();
  await expect(app.page.getByTestId('run').first()).toContainText('Table orders follows head office again');
});

test('set-aside: several tables, each with its own reason', async ({ feed, app }) => {
  test.setTimeout(300_000);
  await feed.commit([['promotion_of_the_week', 'value_unconvertible']]);
  await feed.commit([
    ['price', 'not_published'],
    ['customer', 'no_key'],
    ['payment', 'not_readable'],
  ]);
  await app.page.keyboard.press('F5');
  await expect(app.headline).toHaveText('4 tables are set aside');
  await expect(app.detail).toContainText('promotion_of_the_week, customer, payment and 1 more');
  await expect(app.page.getByTestId('table-set-aside')).toHaveCount(4);
  await takePictures(app, '67-set-aside-several', 'set-aside');
});

test('feed-fault: a fault of the feed is shown in words, and breaks the hop from head office', async ({
  feed,
  app,
}) => {
  test.setTimeout(300_000);
  await feed.report('source_unreachable');
  await app.page.keyboard.press('F5');
  await expect(app.card('feed-fault')).toBeVisible();
  await expect(app.headline).toContainText('No changes have arrived from head office since');
  await expect(app.detail).toContainText("Head office's database cannot be reached");
  await expect(app.page.getByTestId('pipeline')).toContainText('Stopped since');
  await expect(app.page.getByText(/up to date/i)).toHaveCount(0);
  await expect(app.page.getByText('secret')).toHaveCount(0);
  await takePictures(app, '68-feed-fault', 'feed-fault');
  await feed.report(null);
  await app.page.keyboard.press('F5');
  await expect(app.card('up-to-date')).toBeVisible();
});
