import { TidemarkError } from '@tidemark/protocol/errors';
import { isAfter } from '@tidemark/protocol/position';
import { FakeMaster } from '@tidemark/testing/fake-master';
import { FakeSource } from '@tidemark/testing/fake-source';
import { MemoryRelay } from '@tidemark/testing/memory-relay';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runFeed } from './feed.ts';

/** Time limit of a test. Each step takes milliseconds, but a busy machine may need much longer. */
const LIMIT_MS = 120_000;

interface Event extends Record<string, unknown> {
  event: string;
}

/** Runs a feed in this process, with a master and a relay in memory. */
class Feed {
  readonly events: Event[] = [];
  readonly ended: Promise<void>;
  readonly #stop = new AbortController();
  #waiting: (() => void)[] = [];

  constructor(master: FakeMaster, relay: MemoryRelay) {
    const log = (event: string, fields: Record<string, unknown> = {}) => {
      this.events.push({ event, ...fields });
      for (const wake of this.#waiting.splice(0)) wake();
    };
    this.ended = runFeed(
      { source: new FakeSource(master), relay, version: 'test', log, random: () => 0, now: Date.now },
      this.#stop.signal,
    );
    this.ended.catch(() => undefined);
  }

  /** Returns the events of this name logged so far. */
  of(event: string): Event[] {
    return this.events.filter((entry) => entry.event === event);
  }

  /** Resolves when events of this name have been logged `times` times. */
  async until(event: string, times = 1): Promise<void> {
    while (this.of(event).length < times)
      await Promise.race([new Promise<void>((resolve) => this.#waiting.push(resolve)), this.ended]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.ended;
  }
}

describe('a feed on any source', { timeout: LIMIT_MS }, () => {
  let master: FakeMaster;
  let relay: MemoryRelay;
  let feed: Feed;
  beforeEach(() => {
    master = new FakeMaster();
    relay = new MemoryRelay();
    master.createTable('item', [
      { op: 'insert', table: 'item', row: [1, 'one'] },
      { op: 'insert', table: 'item', row: [2, 'two'] },
    ]);
    master.createTable('other', [{ op: 'insert', table: 'other', row: [1, 'other'] }]);
    feed = new Feed(master, relay);
  });
  afterEach(async () => {
    await feed.stop();
    relay.close();
  });

  const insert = (id: number, table = 'item') => master.commit([{ op: 'insert', table, row: [id, `row ${id}`] }]);

  /** Resolves when the relay has every transaction of the master. */
  async function settled(): Promise<void> {
    const end = master.end();
    await expect.poll(() => relay.position !== null && !isAfter(end, relay.position), { timeout: LIMIT_MS }).toBe(true);
  }

  async function restart(): Promise<void> {
    await feed.stop();
    feed = new Feed(master, relay);
  }

  test('takes a base copy, then streams', async () => {
    await feed.until('streaming');
    expect(feed.of('base-copy').map(({ why }) => why)).toEqual(['the relay has no data']);
    expect(relay.rows('item')).toEqual([
      [1, 'one'],
      [2, 'two'],
    ]);
    insert(3);
    master.commit([{ op: 'rekey', table: 'item', id: 1, to: 9 }]);
    await settled();
    expect(relay.rows('item')).toEqual([
      [2, 'two'],
      [3, 'row 3'],
      [9, 'one'],
    ]);
    expect(relay.head).toBe(3);
  });

  test("resumes at the relay's position, without reading a table", async () => {
    await feed.until('streaming');
    await feed.stop();
    insert(3);
    await restart();
    await settled();
    expect(relay.rows('item')).toContainEqual([3, 'row 3']);
    expect(feed.of('copied')).toEqual([]);
    expect(feed.of('base-copy')).toEqual([]);
  });

  test('keeps tables whose stored schemas have no logical types', async () => {
    await feed.until('streaming');
    await feed.stop();
    relay.forgetLogicalTypes();
    expect(relay.withoutLogicalTypes()).toEqual(['item', 'other']);
    insert(3);
    await restart();
    await settled();
    expect(relay.rows('item')).toContainEqual([3, 'row 3']);
    expect(feed.of('copied')).toEqual([]);
    expect(relay.head).toBe(2);
    master.addColumn('item', 'extra', 'x');
    insert(4);
    await feed.until('re-read');
    await settled();
    expect(relay.rows('item')).toContainEqual([1, 'one', 'x']);
    expect(relay.withoutLogicalTypes()).toEqual(['other']);
  });

  test('confirms to the master only positions that the relay has acknowledged', async () => {
    await feed.until('streaming');
    const kept = master.keptAfter;
    relay.batchesUntilFailure = 0;
    insert(3);
    await feed.until('fault');
    expect(master.keptAfter).toBe(kept);
    expect(relay.rows('item')).not.toContainEqual([3, 'row 3']);
    relay.batchesUntilFailure = Number.POSITIVE_INFINITY;
    await settled();
    expect(relay.rows('item')).toContainEqual([3, 'row 3']);
  });

  test('re-reads only the table that the log shows as altered, and keeps its rows', async () => {
    await feed.until('streaming');
    const before = relay.head;
    insert(2, 'other');
    master.addColumn('item', 'extra', 'x');
    insert(3);
    await feed.until('streaming', 2);
    await settled();
    expect(feed.of('copied').map(({ table }) => table)).toEqual(['item', 'other', 'item']);
    expect(feed.of('base-copy')).toHaveLength(1);
    expect(relay.rows('item')).toEqual([
      [1, 'one', 'x'],
      [2, 'two', 'x'],
      [3, 'row 3', 'new'],
    ]);
    expect(relay.rows('other')).toContainEqual([2, 'row 2']);
    expect(relay.head).toBeGreaterThan(before);
  });

  test('re-reads tables altered while the feed was down, follows renames, and drops tables', async () => {
    await feed.until('streaming');
    await feed.stop();
    master.renameTable('item', 'article');
    master.dropTable('other');
    master.createTable('fresh', [{ op: 'insert', table: 'fresh', row: [7, 'seven'] }]);
    await restart();
    await feed.until('streaming');
    expect(relay.tables()).toEqual(['article', 'fresh']);
    expect(relay.rows('article')).toEqual([
      [1, 'one'],
      [2, 'two'],
    ]);
    expect(relay.rows('fresh')).toEqual([[7, 'seven']]);
    expect(feed.of('base-copy')).toEqual([]);
  });

  test('restarts an interrupted base copy in the same epoch', async () => {
    await feed.until('streaming');
    await feed.stop();
    const { epoch } = relay;
    master.keptAfter = null;
    insert(3);
    relay.batchesUntilFailure = 0;
    feed = new Feed(master, relay);
    await feed.until('fault');
    relay.batchesUntilFailure = Number.POSITIVE_INFINITY;
    await feed.until('streaming');
    expect(relay.rows('item')).toContainEqual([3, 'row 3']);
    expect(relay.epoch).toBe(epoch);
  });

  test('a relay that lost acknowledged transactions begins a new epoch', async () => {
    await feed.until('streaming');
    await feed.stop();
    const { epoch } = relay;
    insert(3);
    insert(4);
    master.keptAfter = master.head;
    await restart();
    await feed.until('streaming');
    expect(relay.epoch).not.toBe(epoch);
    expect(feed.of('base-copy').map(({ why }) => why)).toEqual(['the relay was set back']);
    expect(relay.rows('item')).toContainEqual([4, 'row 4']);
  });

  test('a feed that has sent nothing reports all missing prerequisites and exits', async () => {
    await feed.until('streaming');
    await feed.stop();
    master.problems.push('One is missing.', 'Another is missing.');
    const fresh = new Feed(master, relay);
    await expect(fresh.ended).rejects.toMatchObject({
      code: 'source_not_ready',
      params: { detail: '- One is missing.\n- Another is missing.' },
    });
    master.problems.splice(0);
    await restart();
  });

  test('a feed that never reached its master exits after six attempts; one that did keeps trying', async () => {
    class Unreachable extends FakeSource {
      attempts = 0;
      readonly #opens: number;
      constructor(of: FakeMaster, opens: number) {
        super(of);
        this.#opens = opens;
      }
      override async open() {
        if (this.attempts++ < this.#opens) return super.open();
        throw new TidemarkError('source_unreachable', { detail: 'no answer' });
      }
    }
    await feed.stop();
    const run = (source: FakeSource, stop: AbortSignal, onFault: () => void = () => undefined) => {
      const log = (event: string) => {
        if (event === 'fault') onFault();
      };
      return runFeed({ source, relay, version: 'test', log, random: () => 0, now: Date.now }, stop);
    };
    const never = new Unreachable(master, 0);
    await expect(run(never, new AbortController().signal)).rejects.toMatchObject({ code: 'source_unreachable' });
    expect(never.attempts).toBe(6);
    const once = new Unreachable(master, 1);
    const stop = new AbortController();
    // The relay rejects the first batch, which ends the first session.
    insert(3);
    relay.batchesUntilFailure = 0;
    await run(once, stop.signal, () => {
      if (once.attempts > 6) stop.abort();
    });
    expect(once.attempts).toBeGreaterThan(6);
    relay.batchesUntilFailure = Number.POSITIVE_INFINITY;
    await restart();
  });

  test('a feed exits when it is stopped before it streams', async () => {
    await restart();
    await feed.stop();
    await restart();
    await feed.until('streaming');
  });
});
