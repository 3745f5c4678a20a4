// @vitest-environment happy-dom
import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { Column, Filter } from '@tidemark/electron/contract/contract';
import { useState } from 'react';
import { expect, test } from 'vitest';
import { renderApp } from '../testing.tsx';
import { FilterBar } from './filter-bar.tsx';

const COLUMNS: Column[] = [
  { name: 'amount', type: 'text', source: 'numeric', isKey: false, isNumber: true },
  { name: 'note', type: 'text', source: 'text', isKey: false, isNumber: false },
  { name: 'picture', type: 'blob', source: 'bytea', isKey: false, isNumber: false },
];

function Example({ report }: { report: (filters: Filter[]) => void }) {
  const [filters, setFilters] = useState<Filter[]>([]);
  return (
    <FilterBar
      columns={COLUMNS}
      filters={filters}
      change={(next) => {
        setFilters(next);
        report(next);
      }}
    />
  );
}

async function choose(label: string, option: string) {
  await userEvent.click(screen.getByRole('combobox', { name: label }));
  await userEvent.click(await screen.findByRole('option', { name: option }));
}

test('adds a filter, refuses a text for a column of numbers, and removes the filter', async () => {
  const reported: Filter[][] = [];
  renderApp(<Example report={(filters) => reported.push(filters)} />);
  await userEvent.click(screen.getByRole('button', { name: 'Add filter' }));
  await userEvent.type(await screen.findByRole('textbox', { name: 'Value' }), 'ten');
  await userEvent.click(screen.getByRole('button', { name: 'Apply' }));
  expect(screen.getByText('Enter a number, for example 12.5')).toBeTruthy();
  expect(reported).toEqual([]);
  await userEvent.clear(screen.getByRole('textbox', { name: 'Value' }));
  await userEvent.type(screen.getByRole('textbox', { name: 'Value' }), '10');
  await userEvent.click(screen.getByRole('button', { name: 'Apply' }));
  expect(reported).toEqual([[{ column: 'amount', operator: 'equals', value: '10' }]]);
  const chip = await screen.findByTestId('filter');
  expect(chip.textContent).toBe('amount equals 10');
  await userEvent.click(within(chip).getByRole('button', { name: 'Remove the filter amount equals 10' }));
  expect(reported.at(-1)).toEqual([]);
});

test('offers only the conditions that a column can have, and no value for conditions about NULL', async () => {
  const reported: Filter[][] = [];
  renderApp(<Example report={(filters) => reported.push(filters)} />);
  await userEvent.click(screen.getByRole('button', { name: 'Add filter' }));
  await choose('Column', 'picture');
  await userEvent.click(screen.getByRole('combobox', { name: 'Condition' }));
  const options = await screen.findAllByRole('option');
  expect(options.map((option) => option.textContent)).toEqual(['is NULL', 'is not NULL']);
  expect(screen.queryByRole('textbox', { name: 'Value' })).toBeNull();
  await userEvent.click(screen.getByRole('button', { name: 'Apply' }));
  expect(reported).toEqual([[{ column: 'picture', operator: 'is-null', value: '' }]]);
});
