// @vitest-environment happy-dom
import { act, screen } from '@testing-library/react';
import type { Facts, Progress } from '@tidemark/status/facts';
import { facts, PROGRESS } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { renderApp } from '../testing.tsx';
import { ProgressPanel } from './progress-panel.tsx';
import { StatusCard } from './status-card.tsx';

/** Renders the status card during a comparison. Returns a function that changes its progress. */
function verify(first: Partial<Progress>) {
  const { push, state } = renderApp(<StatusCard />, { facts: verifying(first) });
  return { view: (change: Partial<Progress>) => act(() => push({ ...state, facts: facts(verifying(change)) })) };
}
const verifying = (change: Partial<Progress>): Partial<Facts> => ({
  phase: { kind: 'syncing', first: false, progress: { ...PROGRESS, unit: 'rows', ...change } },
});

const show = (change: Partial<Progress>) => {
  renderApp(<ProgressPanel progress={{ ...PROGRESS, ...change }} />);
  return screen.getByRole('progressbar', { name: 'Sync progress' });
};

test('the text of the progress bar is N of M', () => {
  const bar = show({});
  expect(bar.getAttribute('aria-valuetext')).toBe('1,240 of 5,310 changes');
  expect(bar.getAttribute('aria-valuenow')).toBe('23');
});

test('shows N of M beside every percentage', () => {
  show({});
  expect(screen.getByText(/%/).textContent).toBe('1,240 of 5,310 changes · 23 %');
});

test('never shows an amount above the total', () => {
  const bar = show({ done: 6000 });
  expect(bar.getAttribute('aria-valuetext')).toBe('5,310 of 5,310 changes');
  expect(bar.getAttribute('aria-valuenow')).toBe('100');
});

test('does not show an unknown amount as zero', () => {
  const bar = show({ total: 0, done: 0, bytesTotal: 0 });
  expect(bar.hasAttribute('aria-valuenow')).toBe(false);
  expect(bar.getAttribute('aria-valuetext')).toBe('Preparing…');
  expect(screen.queryByText(/%/)).toBeNull();
});

test('a comparison shows its own stages until it ends', () => {
  const { view } = verify({ stage: 'comparing', done: 120, total: 480 });
  const now = () => screen.getAllByRole('listitem').find((item) => item.getAttribute('aria-current') === 'step');
  expect(screen.getAllByRole('listitem').map((item) => item.textContent)).toEqual([
    'Checking',
    'Comparing',
    'Repairing',
    'Finishing',
  ]);
  expect(now()?.textContent).toBe('Comparing');
  expect(screen.getByRole('progressbar', { name: 'Verify progress' }).getAttribute('aria-valuetext')).toBe(
    '120 of 480 rows',
  );
  view({ stage: 'finishing' });
  expect(now()?.textContent).toBe('Finishing');
  expect(screen.getByText('Comparing')).toBeTruthy();
  view({ stage: 'applying', runId: 'another' });
  expect(screen.queryByText('Comparing')).toBeNull();
});

test('shows the downloaded bytes without a known total', () => {
  show({ bytesTotal: 0, bytes: 48_000 });
  expect(screen.getByText('48 kB')).toBeTruthy();
});

test('hides an unreliable estimate of the remaining time', () => {
  show({ etaS: null });
  expect(screen.queryByText('Time left')).toBeNull();
});
