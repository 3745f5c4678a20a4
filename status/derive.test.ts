import { seq } from '@tidemark/protocol/cursor';
import type { Run } from '@tidemark/protocol/run';
import { at, EPOCH, PROGRESS, probe, RUN } from '@tidemark/testing/facts';
import { difference, failing, snapshot, status, waiting } from '@tidemark/testing/status-cases';
import { describe, expect, test } from 'vitest';

describe('precedence', () => {
  test('what is wrong besides the first is listed, most important first', () => {
    const shown = status({
      ...failing('token_invalid'),
      ...waiting(20_000),
      paused: { since: at(0), until: null, by: 'you' },
      clockSkewMs: 600_000,
    });
    expect(shown.code).toBe('signed-out');
    expect(shown.attention.map(({ code }) => code)).toEqual(['behind', 'clock']);
  });

  test('a root cause is not listed again by its effects', () => {
    expect(status({ online: false, ...failing('relay_unreachable') }).attention).toEqual([]);
  });

  test('a fault stays visible while it is tried again', () => {
    const shown = status({
      ...failing('relay_unreachable'),
      phase: { kind: 'checking', since: at(0) },
    });
    expect(shown.code).toBe('checking');
    expect(shown.attention.map(({ code }) => code)).toEqual(['unreachable']);
  });

  test('data that flows outranks the fault that it got past, which stays listed', () => {
    const shown = status({
      ...failing('disk_full'),
      phase: { kind: 'syncing', first: false, progress: PROGRESS },
    });
    expect(shown.code).toBe('syncing');
    expect(shown.attention.map(({ code }) => code)).toEqual(['disk-full']);
  });

  test('the fresh copy that a resync asked for shows its progress', () => {
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

  test('a snapshot that is only cheaper is an ordinary backlog', () => {
    expect(status({ ...snapshot('cheaper'), ...waiting(50_000) }).code).toBe('behind');
  });

  test('a comparison that was stopped leaves what is known of the data', () => {
    const lastRun: Run = { ...RUN, mode: 'verify', outcome: 'cancelled', endedAt: at(0) };
    expect(status({ lastRun }).code).toBe('up-to-date');
    expect(status({ ...waiting(12), lastRun }).code).toBe('behind');
  });

  test('a share that was changed is no backlog besides', () => {
    const head = { epoch: EPOCH, seq: seq(90_000), committedAt: at(0) };
    const probed = difference.probe ?? probe();
    const shown = status({ probe: { ...probed, status: { ...probed.status, head } }, waiting: null });
    expect(shown.code).toBe('scopes-changed');
    expect(shown.attention).toEqual([]);
  });

  test('a run under way can be cancelled whatever else is shown', () => {
    const shown = status({
      ...failing('token_invalid'),
      phase: { kind: 'checking', since: at(0) },
    });
    expect(shown.secondary.map(({ id }) => id)).toContain('cancel');
  });

  test('a plan made for another position is not believed', () => {
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
