import { rmSync } from 'node:fs';
import path from 'node:path';
import { Replica } from '@tidemark/replica/replica';
import type { Facts } from '@tidemark/status/facts';
import { at, facts, failedRun, NOW, probe, RUN } from '@tidemark/testing/facts';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FactBook } from '../../facts/fact-book.ts';
import { Journal } from './journal.ts';

/** Tests of the status row: it must not differ from the status for longer than the stated time. */

let folder: string;
let replica: Replica;
let journal: Journal;
let known: Facts;
/** Faults that the journal reported, and events that it logged. */
let faults: string[] = [];
let events: string[] = [];

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  faults = [];
  events = [];
  folder = temporaryFolder('journal');
  replica = Replica.open(path.join(folder, 'branch.sqlite'), 'shop');
  known = facts();
  journal = new Journal({
    book: new FactBook(),
    facts: () => known,
    log: (_, event) => void events.push(event),
    onFault: ({ code }) => void faults.push(code),
    publisher: { publishSoon: () => undefined },
  });
});

afterEach(() => {
  journal.stop();
  replica.close();
  vi.useRealTimers();
  expect({ faults, events }).toEqual({ faults: [], events: [] });
  rmSync(folder, { recursive: true, force: true });
});

function row(): unknown {
  const other = new Database(replica.file, { readonly: true });
  try {
    return other.prepare('SELECT code, headline FROM tidemark_status').get();
  } finally {
    other.close();
  }
}

test('the row follows an answer that ages, although no run ends', () => {
  journal.keepCurrent(() => replica);
  journal.addRun(replica, RUN);
  expect(row()).toEqual({ code: 'up-to-date', headline: 'Up to date' });
  vi.advanceTimersByTime(16 * 60_000);
  expect(row()).toMatchObject({ code: 'up-to-date-old' });
  vi.advanceTimersByTime(24 * 3_600_000);
  expect(row()).toMatchObject({ code: 'stale' });
});

test('a status that does not change is not written again', () => {
  journal.keepCurrent(() => replica);
  journal.addRun(replica, RUN);
  const other = new Database(replica.file, { readonly: true });
  const version = () => other.pragma('data_version', { simple: true });
  const before = version();
  vi.advanceTimersByTime(5 * 60_000);
  expect(version()).toBe(before);
  other.close();
});

test('the row names a failed attempt and a fault of the feed, and keeps its status during a check', () => {
  known = facts({ lastRun: failedRun({ code: 'relay_unreachable', params: {} }) });
  journal.writeStatus(replica);
  expect(row()).toMatchObject({ code: 'unreachable' });
  const feed = { connected: false, heardAt: at(0), lagMs: 0, fault: { code: 'disk_full' as const, since: at(60_000) } };
  known = facts({ probe: probe({ feed }) });
  journal.refresh(replica);
  expect(row()).toMatchObject({ code: 'feed-fault' });
  known = facts({ phase: { kind: 'checking', since: NOW } });
  journal.refresh(replica);
  expect(row()).toMatchObject({ code: 'feed-fault' });
});

test('file-deleted: reports at the next refresh that the file has lost its name', () => {
  journal.keepCurrent(() => replica);
  journal.addRun(replica, RUN);
  rmSync(replica.file);
  vi.advanceTimersByTime(30_000);
  expect(new Set(faults)).toEqual(new Set(['db_unavailable']));
  expect(new Set(events)).toEqual(new Set(['history.not_written']));
  faults = [];
  events = [];
});
