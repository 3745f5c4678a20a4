import type { RelayStatus } from '@tidemark/protocol/api';
import { seq } from '@tidemark/protocol/cursor';
import type { Run } from '@tidemark/protocol/run';
import { deriveStatus } from '@tidemark/status/derive';
import { EPOCH, NOW, probe, RUN } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { initial } from '../machine/machine.ts';
import type { State } from '../machine/state.ts';
import { FactBook } from './fact-book.ts';

/** Simulates the answers and pulls of a PC, one after another, a minute apart. */
class Branch {
  readonly #book = new FactBook();
  readonly #state: State;
  #now = NOW;
  #at = 1;

  constructor(everyMs: number | null) {
    const policy = {
      ...{ checkAtStart: false, everyMs, automatic: 'sync' as const, watch: false },
      ...{ freshCopy: 'ask' as const, giveUpAfterMs: null, repair: true },
    };
    this.#state = { ...initial(policy, null), at: 'idle', configured: true, cursor: this.#cursor };
    this.#move();
  }

  get #cursor() {
    return { epoch: EPOCH, seq: seq(this.#at) };
  }

  #move(): void {
    const tables = [{ name: 'orders', rows: 3 }];
    const committedAt = new Date(this.#now).toISOString();
    this.#book.replaceData({ cursor: this.#cursor, committedAt, tables, lastRun: null, lastSuccess: null } as never);
  }

  /** The relay answers that this many changes wait. */
  answer(changes: number, afterMs = 60_000): void {
    this.#now += afterMs;
    const head = { epoch: EPOCH, seq: seq(this.#at + changes), committedAt: this.#now };
    const behind = { transactions: changes, changes, bytes: 100 * changes, oldestAt: changes > 0 ? this.#now : null };
    const feed = { connected: true, heardAt: this.#now - 500, lagMs: 40 };
    const status: RelayStatus = { ...probe().status, now: this.#now, head, behind, feed };
    this.#book.addStatus(status, this.#cursor, this.#now, this.#now);
  }

  /** Pulls everything that the last answer named. */
  pull(changes: number, trigger: Run['trigger']): void {
    this.#at += changes;
    this.#move();
    this.#book.addRun({ ...RUN, startedAt: this.#now, endedAt: this.#now, trigger });
  }

  get status() {
    return deriveStatus(this.#book.facts(this.#state, null, null, this.#now), this.#now);
  }
}

test('no alarm: a person who syncs now and then is not falling behind, however much arrives in between', () => {
  const branch = new Branch(null);
  for (const changes of [1, 1284, 1464, 3000, 9000]) {
    branch.answer(changes);
    branch.answer(changes);
    expect(branch.status.code).toBe('behind');
    branch.pull(changes, 'manual');
    expect(branch.status.code).toBe('up-to-date');
  }
});

test('no alarm: an automatic sync that receives everything each time is not falling behind in a busy hour', () => {
  const branch = new Branch(60_000);
  for (const changes of [10, 100, 1000, 5000, 9000]) {
    branch.answer(changes);
    expect(branch.status.code).toBe('behind');
    branch.pull(changes, 'schedule');
  }
});

test('a PC that follows the relay falls behind when each pull leaves more than the one before', () => {
  const branch = new Branch(null);
  const codes = [100, 200, 300, 400, 500].map((changes) => {
    branch.answer(changes, 1000);
    const { code } = branch.status;
    branch.pull(changes, 'watch');
    return code;
  });
  expect(codes).toEqual(['behind', 'behind', 'behind', 'behind', 'falling-behind']);
  branch.answer(20, 1000);
  expect(branch.status.code).toBe('behind');
});

test('run-end: the head is at least the position that a run reached', () => {
  const branch = new Branch(null);
  branch.answer(3);
  branch.pull(5, 'manual');
  expect(branch.status).toMatchObject({ code: 'up-to-date', waiting: { changes: 0 } });
});
