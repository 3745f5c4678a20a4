import { seq } from '@tidemark/protocol/cursor';
import type { Run } from '@tidemark/protocol/run';
import { at, EPOCH, PROGRESS, probe, RUN } from '@tidemark/testing/facts';
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
