// @vitest-environment happy-dom
import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { TableRow } from '@tidemark/electron/contract/contract';
import { at } from '@tidemark/testing/facts';
import { expect, test } from 'vitest';
import { renderApp } from '../testing.tsx';
import { TableList } from './table-list.tsx';

const row = (name: string, change: Partial<TableRow> = {}): TableRow => {
  return { name, rows: 10, waiting: 0, lastChangeAt: null, setAside: null, ...change };
};
const setAside = { reason: 'row_too_large' as const, asOf: at(3_600_000) };
const withTables = (...rows: TableRow[]) => ({
  answers: { 'tables.list': () => ({ ok: true as const, value: rows }) },
});
const names = () => screen.getAllByTestId(/^table(-set-aside)?$/).map((each) => each.textContent);

test('a table that is set aside comes first, with its time and reason in words', async () => {
  renderApp(<TableList />, withTables(row('audit'), row('orders', { setAside })));
  const marked = await screen.findByTestId('table-set-aside');
  expect(marked.textContent).toMatch(/^ordersSet aside, as of \d\d:42A row of this table is larger than the limit/);
  expect(names()[0]).toBe(marked.textContent);
  expect(within(screen.getAllByTestId('table')[0] as HTMLElement).queryByText(/Set aside/)).toBeNull();
});

test('filters the tables that are set aside, and offers this filter only when there are any', async () => {
  renderApp(<TableList />, withTables(row('audit'), row('orders', { setAside }), row('price')));
  const filter = await screen.findByRole('checkbox', { name: 'Set aside only (1)' });
  await userEvent.click(filter);
  expect(names()).toEqual([expect.stringContaining('orders')]);
  await userEvent.click(screen.getByRole('checkbox', { name: 'Waiting only' }));
  expect(filter).toHaveProperty('checked', false);
  expect(screen.getByText('No tables match.')).toBeTruthy();
});

test('offers no such filter while every table follows', async () => {
  renderApp(<TableList />, withTables(row('audit')));
  await screen.findByTestId('table');
  expect(screen.queryByRole('checkbox', { name: /Set aside only/ })).toBeNull();
});
