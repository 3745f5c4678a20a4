// @vitest-environment happy-dom
import { screen } from '@testing-library/react';
import type { Progress } from '@tidemark/protocol/status/facts.ts';
import { PROGRESS } from '@tidemark/protocol/status/testing.ts';
import { expect, test } from 'vitest';
import { renderApp } from '../testing.tsx';
import { ProgressPanel } from './progress-panel.tsx';

const show = (change: Partial<Progress>) => {
  renderApp(<ProgressPanel progress={{ ...PROGRESS, ...change }} />);
  return screen.getByRole('progressbar', { name: 'Sync progress' });
};

test('says N of M to those who cannot see the bar', () => {
  const bar = show({});
  expect(bar.getAttribute('aria-valuetext')).toBe('1,240 of 5,310 changes');
  expect(bar.getAttribute('aria-valuenow')).toBe('23');
});

test('a percentage never stands without N of M', () => {
  show({});
  expect(screen.getByText(/%/).textContent).toBe('1,240 of 5,310 changes · 23 %');
});

test('more done than was to do is never shown', () => {
  const bar = show({ done: 6000 });
  expect(bar.getAttribute('aria-valuetext')).toBe('5,310 of 5,310 changes');
  expect(bar.getAttribute('aria-valuenow')).toBe('100');
});

test('an amount that is not known is not zero', () => {
  const bar = show({ total: 0, done: 0, bytesTotal: 0 });
  expect(bar.hasAttribute('aria-valuenow')).toBe(false);
  expect(bar.getAttribute('aria-valuetext')).toBe('Amount not known yet');
  expect(screen.queryByText(/%/)).toBeNull();
});

test('an ETA that is not trusted is not shown', () => {
  show({ etaS: null });
  expect(screen.queryByText('Left')).toBeNull();
});
