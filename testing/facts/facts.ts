import { Epoch, seq } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { Run } from '@tidemark/protocol/run';
import { DEFAULT_THRESHOLDS, type Facts, type Progress } from '@tidemark/status/facts';

/** Facts of a PC that is up to date at {@link NOW}. A test overrides only the facts that it needs. */
export const NOW = Date.parse('2026-11-23T10:42:00.000Z');
export const EPOCH = Epoch.parse('7f3a9c2e51');
export const at = (msAgo: number): number => NOW - msAgo;

export const RUN: Run = {
  id: 'run-1',
  startedAt: at(62_000),
  endedAt: at(60_000),
  trigger: 'manual',
  mode: 'now',
  outcome: 'done',
  from: { epoch: EPOCH, seq: seq(5000) },
  to: { epoch: EPOCH, seq: seq(5310) },
  snapshot: null,
  inserted: 400,
  updated: 812,
  deleted: 28,
  truncated: 0,
  tables: [{ name: 'orders', inserted: 400, updated: 812, deleted: 28, truncated: 0 }],
  bytes: 312_000,
  left: 0,
  retries: 0,
  fault: null,
};

export const PROGRESS: Progress = {
  runId: 'run-2',
  startedAt: at(12_000),
  stage: 'applying',
  unit: 'changes',
  done: 1240,
  total: 5310,
  bytes: 1_200_000,
  bytesTotal: 4_800_000,
  table: 'orders',
  tableIndex: 2,
  tableCount: 6,
  target: seq(6000),
  lastDataAt: at(500),
  deadlineAt: null,
  rate: 400,
  etaS: 120,
};

type Probe = NonNullable<Facts['probe']>;

export function probe(change: Partial<Probe['status']> = {}, msAgo = 60_000): Probe {
  return {
    at: at(msAgo),
    for: { epoch: EPOCH, seq: seq(5310) },
    status: {
      protocol: 1,
      relay: { name: 'HQ-1', version: '0.1.0' },
      now: at(msAgo),
      head: { epoch: EPOCH, seq: seq(5310), committedAt: at(msAgo + 5000) },
      horizon: seq(1002),
      keepsUntil: null,
      behind: { transactions: 0, changes: 0, bytes: 0, oldestAt: null },
      plan: { by: 'none' },
      feed: { connected: true, heardAt: at(msAgo + 500), lagMs: 40 },
      ...change,
    },
  };
}

export function facts(change: Partial<Facts> = {}): Facts {
  return {
    configured: true,
    unencrypted: false,
    names: { central: 'Central database', relay: 'HQ-1', terminal: 'Branch 7' },
    agent: { state: 'alive' },
    phase: { kind: 'idle' },
    paused: null,
    online: true,
    replica: {
      cursor: { epoch: EPOCH, seq: seq(5310) },
      committedAt: at(65_000),
      tables: 6,
      rows: 200_000,
      setAside: { count: 0, tables: [] },
      log: null,
      fault: null,
    },
    probe: probe(),
    waiting: { transactions: 0, changes: 0, bytes: 0, oldestAt: null },
    lastSuccess: RUN,
    lastRun: RUN,
    trend: [],
    remaining: [],
    retry: null,
    schedule: { everyMs: null, nextAt: null },
    clockSkewMs: 20,
    thresholds: DEFAULT_THRESHOLDS,
    ...change,
  };
}

/** Facts in which the last run failed with this error, after the last probe. */
export function failedRun(fault: Fault, change: Partial<Run> = {}): Run {
  return {
    ...RUN,
    id: 'run-3',
    startedAt: at(40_000),
    endedAt: at(30_000),
    outcome: 'failed',
    inserted: 0,
    updated: 0,
    deleted: 0,
    left: null,
    fault,
    ...change,
  };
}
