import { seq } from '@tidemark/protocol/cursor';
import type { Run } from '@tidemark/protocol/run';
import { at, EPOCH, facts, PROGRESS, probe, RUN } from '@tidemark/testing/facts';
import { difference, failing, snapshot, status, waiting } from '@tidemark/testing/status-cases';
import { describe, expect, test } from 'vitest';

describe('the precedence of states', () => {
  test('lists other warnings and errors as attention, most important first', () => {
    const shown = status({
      ...failing('token_invalid'),
      ...waiting(20_000),
      paused: { since: at(0), until: null, by: 'you' },
      clockSkewMs: 600_000,
    });
    expect(shown.code).toBe('signed-out');
    expect(shown.attention.map(({ code }) => code)).toEqual(['behind', 'clock']);
  });

  test('does not list the effects of a root cause', () => {
    expect(status({ online: false, ...failing('relay_unreachable') }).attention).toEqual([]);
  });

  test('keeps a fault visible during the retry', () => {
    const shown = status({
      ...failing('relay_unreachable'),
      phase: { kind: 'checking', since: at(0) },
    });
    expect(shown.code).toBe('checking');
    expect(shown.attention.map(({ code }) => code)).toEqual(['unreachable']);
  });

  test('shows a sync that receives data instead of the earlier fault, which stays listed', () => {
    const shown = status({
      ...failing('disk_full'),
      phase: { kind: 'syncing', first: false, progress: PROGRESS },
    });
    expect(shown.code).toBe('syncing');
    expect(shown.attention.map(({ code }) => code)).toEqual(['disk-full']);
  });

  test('shows the progress of a fresh copy for a PC behind the horizon', () => {
    expect(
      status({
        ...snapshot('behind_horizon'),
        phase: {
          kind: 'syncing',
          first: false,
          progress: { ...PROGRESS, unit: 'rows' },
        },
      }).code,
    ).toBe('syncing');
  });

  test('shows a snapshot that is only cheaper than pages as an ordinary backlog', () => {
    expect(status({ ...snapshot('cheaper'), ...waiting(50_000) }).code).toBe('behind');
  });

  test('shows the state of the data after a cancelled comparison', () => {
    const lastRun: Run = { ...RUN, mode: 'verify', outcome: 'cancelled', endedAt: at(0) };
    expect(status({ lastRun }).code).toBe('up-to-date');
    expect(status({ ...waiting(12), lastRun }).code).toBe('behind');
  });

  test('does not list a changed data selection as a backlog', () => {
    const head = { epoch: EPOCH, seq: seq(90_000), committedAt: at(0) };
    const probed = difference.probe ?? probe();
    const shown = status({ probe: { ...probed, status: { ...probed.status, head } }, waiting: null });
    expect(shown.code).toBe('scopes-changed');
    expect(shown.attention).toEqual([]);
  });

  test('offers to cancel a run under way in every error state', () => {
    const shown = status({
      ...failing('token_invalid'),
      phase: { kind: 'checking', since: at(0) },
    });
    expect(shown.secondary.map(({ id }) => id)).toContain('cancel');
  });

  test('lists a large write-ahead log beside the state of the data, with the time at which its reader was first seen', () => {
    const log = { file: 'branch.sqlite-wal', bytes: 54_000_000, heldSince: at(120_000) };
    const shown = (heldSince: number | null) => {
      const { replica } = facts();
      return status({ replica: { ...replica, log: { ...log, heldSince } } });
    };
    expect(shown(log.heldSince)).toMatchObject({
      code: 'up-to-date',
      attention: [
        {
          code: 'log-large',
          severity: 'warn',
          text: 'The file branch.sqlite-wal has grown to 54 MB. Another program has kept a read transaction open since 10:40 or earlier. Close that program, or let it end its transaction. Nothing was lost',
        },
      ],
    });
    expect(shown(null).attention.map(({ text }) => text)).toEqual([
      'The file branch.sqlite-wal has grown to 54 MB. The next sync empties it, unless another program keeps a read transaction open. In that case close that program, or let it end its transaction',
    ]);
  });

  test('ignores a plan for another position', () => {
    const stalePlan = snapshot('behind_horizon');
    expect(
      status({
        ...stalePlan,
        probe: {
          ...(stalePlan.probe ?? probe()),
          for: { epoch: EPOCH, seq: seq(3) },
        },
      }).code,
    ).toBe('up-to-date');
  });
});
