// @vitest-environment happy-dom
import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { Run } from '@tidemark/protocol/run';
import { at, failedRun, RUN } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { renderApp } from '../testing.tsx';
import { ActivityScreen } from './activity-screen.tsx';

const quiet = (id: number): Run => ({
  ...RUN,
  id: `q${id}`,
  outcome: 'nothing-new',
  startedAt: at(id * 1000),
  endedAt: at(id * 1000 - 100),
});
const withRuns = (...runs: Run[]) => ({ answers: { 'runs.list': () => ({ ok: true as const, value: runs }) } });

test('shows twelve quiet checks as one row that expands', async () => {
  renderApp(<ActivityScreen />, withRuns(...Array.from({ length: 12 }, (_, index) => quiet(index))));
  const line = await screen.findByTestId('quiet');
  expect(line.textContent).toContain('12 checks, nothing new');
  expect(screen.queryAllByTestId('run')).toHaveLength(0);
  await userEvent.click(line);
  expect(screen.getAllByTestId('run')).toHaveLength(12);
});

test('an empty history shows that no sync has run', async () => {
  renderApp(<ActivityScreen />, withRuns());
  expect(await screen.findByText('No syncs yet. Your first sync will appear here.')).toBeTruthy();
});

test('offers to clear a filter that has no matches', async () => {
  renderApp(<ActivityScreen />, withRuns(RUN));
  await screen.findByTestId('run');
  await userEvent.click(screen.getByRole('combobox', { name: 'Result' }));
  await userEvent.click(await screen.findByRole('option', { name: 'Failed' }));
  expect(screen.getByText('No runs match.')).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'Clear filters' }));
  expect(screen.getByTestId('run')).toBeTruthy();
});

test('the details of a failed run contain its code and remedy, and can be copied', async () => {
  const run = failedRun({ code: 'relay_unreachable', params: { relay: 'hq', detail: 'refused' }, requestId: 'req-7' });
  const { called } = renderApp(<ActivityScreen />, withRuns(run));
  await userEvent.click(await screen.findByRole('button', { name: /Show details/ }));
  expect(await screen.findByText('Check the network connection, then try again.')).toBeTruthy();
  expect(screen.getByText(/relay_unreachable · request req-7/)).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'Copy as text' }));
  expect(called('clipboard.write')).toHaveLength(1);
});

test('a comparison has its own row, and its details name each table', async () => {
  const run: Run = {
    ...quiet(1),
    mode: 'verify',
    outcome: 'done',
    compared: { rows: 9000, tables: 8 },
    differences: [{ table: 'orders', missing: 3, extra: 1, different: 20 }],
  };
  renderApp(<ActivityScreen />, withRuns({ ...run, id: 'v2', outcome: 'nothing-new', differences: [] }, run));
  const rows = await screen.findAllByTestId('run');
  expect(rows.map((row) => row.textContent)).toEqual([
    expect.stringContaining('Identical'),
    expect.stringMatching(/Repaired.*24 rows differed/),
  ]);
  await userEvent.click(screen.getByRole('button', { name: /24 rows in 1 table differed.*Show details/ }));
  const table = await screen.findByRole('table', { name: 'Differences from the server' });
  expect(
    within(table)
      .getAllByRole('cell')
      .map((cell) => cell.textContent),
  ).toEqual(['orders', '3', '1', '20', '24']);
  expect(within(table).getByRole('columnheader', { name: 'Repaired' })).toBeTruthy();
});

test('a run that set a table aside has its own row, and its details name the reason', async () => {
  const run: Run = {
    ...RUN,
    setAside: [{ name: 'orders', reason: 'row_too_large' }],
    followed: ['price'],
  };
  renderApp(<ActivityScreen />, withRuns(run));
  const row = await screen.findByTestId('run');
  expect(row.textContent).toContain('Table orders was set aside. Table price follows head office again');
  await userEvent.click(within(row).getByRole('button', { name: /Table orders was set aside/ }));
  const list = await screen.findByRole('list', { name: 'Tables set aside' });
  expect(
    within(list)
      .getAllByRole('listitem')
      .map((item) => item.textContent),
  ).toEqual(['Set aside: orders: A row of this table is larger than the limit', 'Follows head office again: price']);
});

test('shows the cause when the list cannot be loaded', async () => {
  renderApp(<ActivityScreen />, {
    answers: { 'runs.list': () => ({ ok: false, fault: { code: 'agent_down', params: {} } }) },
  });
  expect((await screen.findByRole('alert')).textContent).toContain('The sync engine stopped unexpectedly.');
});

test('fetches runs that started before the oldest one shown', async () => {
  const page = Array.from({ length: 200 }, (_, index) => ({ ...RUN, id: `r${index}`, startedAt: at(index * 1000) }));
  const { called } = renderApp(<ActivityScreen />, withRuns(...page));
  await userEvent.click(await screen.findByRole('button', { name: 'Show older' }));
  expect(called('runs.list').at(-1)).toEqual({ before: at(199_000), limit: 200 });
});
