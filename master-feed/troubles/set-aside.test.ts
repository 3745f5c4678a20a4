import { isAfter } from '@tidemark/protocol/position';
import type { FeedReport, SetAside } from '@tidemark/protocol/trouble';
import { FakeMaster } from '@tidemark/testing/fake-master';
import { FakeSource } from '@tidemark/testing/fake-source';
import { MemoryRelay } from '@tidemark/testing/memory-relay';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FaultReports } from '../fault-reports.ts';
import { runFeed } from '../feed.ts';

/** F17: a feed sets a table aside and continues with the others, on any source. */

vi.hoisted(() => {
  process.env.TIDEMARK_HEARTBEAT_MS = '100';
});

/** Time limit of a test. Each step takes milliseconds, but a busy machine may need much longer. */
const LIMIT_MS = 120_000;

const HOUR_MS = 3_600_000;

describe('a table that cannot be followed', { timeout: LIMIT_MS }, () => {
  let master: FakeMaster;
  let relay: MemoryRelay;
  /** Added to the feed's clock, in ms. */
  let aheadMs: number;
  /** The names of the feed's log events. */
  let events: string[];
  let stop: AbortController;
  const reports: FeedReport[] = [];
  let ended: Promise<void>;

  function start(): void {
    stop = new AbortController();
    ended = runFeed(
      {
        source: new FakeSource(master),
        relay,
        reports: new FaultReports(async (report) => void reports.push(report), Date.now),
        version: 'test',
        log: (event) => void events.push(event),
        random: () => 0,
        now: () => Date.now() + aheadMs,
      },
      stop.signal,
    );
    ended.catch(() => undefined);
  }

  async function end(): Promise<void> {
    stop.abort();
    await ended;
  }

  beforeEach(() => {
    master = new FakeMaster();
    relay = new MemoryRelay();
    aheadMs = 0;
    events = [];
    reports.length = 0;
    for (const table of ['item', 'other']) {
      master.createTable(table);
      insert(1, table);
    }
    start();
  });
  afterEach(async () => {
    await end();
    relay.close();
  });

  const insert = (id: number, table: string) => master.commit([{ op: 'insert', table, row: [id, `row ${id}`] }]);
  const row = (id: number) => [id, `row ${id}`];

  /** Resolves when the relay has every transaction of the master. */
  async function settled(): Promise<void> {
    const position = master.end();
    await poll(() => relay.position !== null && !isAfter(position, relay.position), true);
  }

  async function poll<T>(value: () => T, expected: T): Promise<void> {
    await expect.poll(value, { timeout: LIMIT_MS }).toEqual(expected);
  }

  const reasons = () => Object.fromEntries(Object.entries(relay.marks()).map(([name, { reason }]) => [name, reason]));
  const times = (event: string) => events.filter((each) => each === event).length;
  const lastReport = () => reports.at(-1);

  test('keeps its rows and a mark while the others continue, and follows again when the cause is gone', async () => {
    await settled();
    master.keyless = ['item'];
    master.mark++;
    await poll(reasons, { item: 'no_key' });
    const { asOf } = relay.marks().item as SetAside;
    insert(2, 'item');
    expect(asOf <= String(master.log.at(-1)?.committedAt)).toBe(true);
    insert(2, 'other');
    insert(3, 'other');
    await settled();
    expect(relay.rows('other')).toEqual([row(1), row(2), row(3)]);
    await poll(
      () => lastReport()?.tables.map(({ table, reason, held }) => [table, reason, held]),
      [['item', 'no_key', true]],
    );
    master.keyless = [];
    master.mark++;
    await poll(reasons, {});
    await poll(() => relay.rows('item'), [row(1), row(2)]);
    await poll(() => lastReport()?.tables, []);
  });

  test('stops when its rows cannot be read, and follows again after a wait', async () => {
    await settled();
    master.setUnreadable('item', true);
    master.addColumn('item', 'size');
    insert(2, 'other');
    await settled();
    await poll(reasons, { item: 'other' });
    expect(relay.rows('item')).toEqual([row(1)]);
    master.setUnreadable('item', false);
    insert(3, 'other');
    await settled();
    expect(reasons()).toEqual({ item: 'other' });
    await poll(() => {
      aheadMs += HOUR_MS;
      return reasons();
    }, {});
    await poll(() => relay.rows('item'), [[...row(1), 'new']]);
    expect(relay.rows('other')).toEqual([row(1), row(2), row(3)]);
  });

  test('is named in every report while the feed tries it again in vain', async () => {
    await settled();
    master.setUnreadable('item', true);
    master.addColumn('item', 'size');
    await poll(reasons, { item: 'other' });
    await poll(() => lastReport()?.tables.length, 1);
    const from = reports.length;
    await poll(() => {
      aheadMs += HOUR_MS;
      return times('set-aside') >= 4;
    }, true);
    // A change of another table needs a session in which the feed reports again.
    insert(2, 'other');
    await settled();
    expect(reports.length).toBeGreaterThan(from);
    expect(reports.slice(from).map(({ tables }) => tables.map(({ table }) => table))).toEqual(
      reports.slice(from).map(() => ['item']),
    );
  });

  test('keeps its mark after a restart of the feed while the cause persists', async () => {
    await settled();
    master.keyless = ['item'];
    master.mark++;
    await poll(reasons, { item: 'no_key' });
    const mark = relay.marks().item;
    insert(2, 'item');
    await end();
    insert(2, 'other');
    start();
    await settled();
    await poll(() => relay.rows('other'), [row(1), row(2)]);
    expect(relay.marks().item).toEqual(mark);
    expect(relay.rows('item')).toEqual([row(1)]);
  });

  test('keeps its rows and gets its mark when a base copy is taken', async () => {
    await settled();
    await end();
    insert(2, 'item');
    insert(2, 'other');
    master.keyless = ['item'];
    master.keptAfter = null;
    start();
    await poll(() => relay.rows('other'), [row(1), row(2)]);
    expect(reasons()).toEqual({ item: 'no_key' });
    expect(relay.rows('item')).toEqual([row(1)]);
    master.keyless = [];
    master.mark++;
    await poll(() => relay.rows('item'), [row(1), row(2)]);
    expect(reasons()).toEqual({});
  });

  test('is left out of the first base copy when its rows cannot be read', async () => {
    await end();
    relay.close();
    relay = new MemoryRelay();
    master.keptAfter = null;
    master.setUnreadable('item', true);
    start();
    await poll(() => relay.tables(), ['other']);
    await poll(() => lastReport()?.tables.map(({ table, held }) => [table, held]), [['item', false]]);
    master.setUnreadable('item', false);
    await poll(() => {
      aheadMs += HOUR_MS;
      return relay.tables();
    }, ['item', 'other']);
    await poll(() => relay.rows('item'), [row(1)]);
  });

  describe('five such tables', () => {
    const BAD = ['bad 1', 'bad 2', 'bad 3', 'bad 4', 'bad 5'];
    const ASIDE = Object.fromEntries(BAD.map((table) => [table, 'other']));

    function createBad(): void {
      for (const table of BAD) {
        master.createTable(table);
        insert(1, table);
      }
    }

    const setUnreadable = (unreadable: boolean) => {
      for (const table of BAD) master.setUnreadable(table, unreadable);
    };

    async function untilAllFollow(rows: unknown[][]): Promise<void> {
      setUnreadable(false);
      await poll(() => {
        aheadMs += HOUR_MS;
        return relay.tables().length === 7 && Object.keys(reasons()).length === 0;
      }, true);
      for (const table of BAD) expect(relay.rows(table)).toEqual(rows);
    }

    test('are left out of the first base copy, which is the only one', async () => {
      await end();
      relay.close();
      relay = new MemoryRelay();
      master.keptAfter = null;
      createBad();
      setUnreadable(true);
      events = [];
      start();
      await poll(() => relay.tables(), ['item', 'other']);
      insert(2, 'other');
      await settled();
      expect(relay.rows('other')).toEqual([row(1), row(2)]);
      await poll(() => lastReport()?.tables.map(({ table }) => table), BAD);
      await untilAllFollow([row(1)]);
      expect(times('base-copy')).toBe(1);
    });

    test('keep their rows and get their marks in a later base copy, which is the only one', async () => {
      createBad();
      await poll(() => relay.tables().length, 7);
      await settled();
      await end();
      for (const table of ['other', ...BAD]) insert(2, table);
      setUnreadable(true);
      master.keptAfter = null;
      events = [];
      start();
      await poll(() => relay.rows('other'), [row(1), row(2)]);
      expect(reasons()).toEqual(ASIDE);
      for (const table of BAD) expect(relay.rows(table)).toEqual([row(1)]);
      await untilAllFollow([row(1), row(2)]);
      expect(times('base-copy')).toBe(1);
    });

    test('are set aside in one re-read, in which another table is read', async () => {
      createBad();
      await poll(() => relay.tables().length, 7);
      await settled();
      setUnreadable(true);
      events = [];
      for (const table of ['other', ...BAD]) master.addColumn(table, 'size');
      await poll(reasons, ASIDE);
      expect(relay.rows('other')).toEqual([[...row(1), 'new']]);
      for (const table of BAD) expect(relay.rows(table)).toEqual([row(1)]);
      expect([times('re-read'), times('base-copy')]).toEqual([1, 0]);
      await untilAllFollow([[...row(1), 'new']]);
    });
  });

  test('two tables are set aside and recover independently', async () => {
    master.createTable('third');
    insert(1, 'third');
    await poll(() => relay.tables(), ['item', 'other', 'third']);
    master.keyless = ['item', 'other'];
    master.mark++;
    await poll(reasons, { item: 'no_key', other: 'no_key' });
    insert(2, 'other');
    insert(2, 'third');
    master.keyless = ['other'];
    master.mark++;
    await poll(reasons, { other: 'no_key' });
    insert(2, 'item');
    await poll(() => relay.rows('item'), [row(1), row(2)]);
    expect(relay.rows('other')).toEqual([row(1)]);
    expect(relay.rows('third')).toEqual([row(1), row(2)]);
  });

  test('keeps its rows when it is renamed while it is set aside, and takes its new name when it follows again', async () => {
    await settled();
    master.keyless = ['item'];
    master.mark++;
    await poll(reasons, { item: 'no_key' });
    await end();
    master.keyless = ['article'];
    master.renameTable('item', 'article');
    insert(2, 'article');
    insert(2, 'other');
    start();
    await poll(() => relay.rows('other'), [row(1), row(2)]);
    expect(reasons()).toEqual({ item: 'no_key' });
    expect(relay.rows('item')).toEqual([row(1)]);
    master.keyless = [];
    master.mark++;
    await poll(() => relay.tables(), ['article', 'other']);
    expect(relay.rows('article')).toEqual([row(1), row(2)]);
    expect(reasons()).toEqual({});
  });

  test.each<[string, SetAside['reason']]>([
    ['whose description has a problem', 'no_key'],
    ['that cannot be read', 'other'],
  ])('keeps its rows in a base copy after a rename: a table %s', async (_, reason) => {
    await settled();
    const spoil = (name: string) => {
      if (reason === 'no_key') master.keyless = [name];
      else master.setUnreadable(name, true);
    };
    spoil('item');
    if (reason === 'no_key') master.mark++;
    else master.addColumn('item', 'size');
    await poll(reasons, { item: reason });
    await end();
    master.renameTable('item', 'article');
    spoil('article');
    insert(2, 'article');
    insert(2, 'other');
    master.keptAfter = null;
    start();
    await poll(() => relay.rows('other'), [row(1), row(2)]);
    expect(reasons()).toEqual({ item: reason });
    expect(relay.rows('item')).toEqual([row(1)]);
    expect(times('base-copy')).toBe(2);
    master.keyless = [];
    master.setUnreadable('article', false);
    master.mark++;
    await poll(() => {
      aheadMs += HOUR_MS;
      return relay.tables();
    }, ['article', 'other']);
    expect(relay.rows('article').map(([id]) => id)).toEqual([1, 2]);
    expect(reasons()).toEqual({});
  });

  test('leaves the feed when the master drops it', async () => {
    await settled();
    master.keyless = ['item'];
    master.mark++;
    await poll(reasons, { item: 'no_key' });
    master.keyless = [];
    master.dropTable('item');
    await poll(() => relay.tables(), ['other']);
  });
});
