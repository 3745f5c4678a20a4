import { ActionIcon, Button, Popover, Select, TextInput } from '@mantine/core';
import { IconFilter, IconX } from '@tabler/icons-react';
import { type Column, type Filter, type FilterOperator, MAX_FILTERS } from '@tidemark/electron/contract/contract';
import { type FormEvent, useState } from 'react';
import classes from './data.module.css';

/** The filters of the shown table: one chip each, and a form that adds one. */

const LABELS: Record<FilterOperator, string> = {
  contains: 'contains',
  equals: 'equals',
  greater: 'is greater than',
  less: 'is less than',
  'is-null': 'is NULL',
  'is-not-null': 'is not NULL',
};
const NULL_OPERATORS: readonly FilterOperator[] = ['is-null', 'is-not-null'];

const needsValue = (operator: FilterOperator) => !NULL_OPERATORS.includes(operator);
const operatorsOf = (column: Column): FilterOperator[] =>
  column.type === 'blob' ? [...NULL_OPERATORS] : (Object.keys(LABELS) as FilterOperator[]);

/** Returns why a value cannot be used, or null. The reader checks it again. */
function problemOf(column: Column, operator: FilterOperator, value: string): string | null {
  if (!needsValue(operator)) return null;
  if (operator === 'contains') return value === '' ? 'Enter the text to find' : null;
  if (column.isNumber && (value.trim() === '' || Number.isNaN(Number(value))))
    return 'Enter a number, for example 12.5';
  return null;
}

export function FilterBar({
  columns,
  filters,
  change,
}: {
  columns: readonly Column[];
  filters: readonly Filter[];
  change: (filters: Filter[]) => void;
}) {
  const [isOpen, setOpen] = useState(false);
  return (
    <div className={classes.filters}>
      <Popover opened={isOpen} onChange={setOpen} position="bottom-start" trapFocus withinPortal shadow="md">
        <Popover.Target>
          <Button
            size="compact-sm"
            variant="default"
            leftSection={<IconFilter size={14} aria-hidden />}
            disabled={filters.length >= MAX_FILTERS}
            onClick={() => setOpen(!isOpen)}
          >
            Add filter
          </Button>
        </Popover.Target>
        <Popover.Dropdown>
          <FilterForm
            columns={columns}
            add={(filter) => {
              setOpen(false);
              change([...filters, filter]);
            }}
          />
        </Popover.Dropdown>
      </Popover>
      {filters.map((filter, i) => (
        <Chip
          // biome-ignore lint/suspicious/noArrayIndexKey: filters may be equal, and have no state of their own
          key={i}
          filter={filter}
          remove={() => change(filters.filter((_, at) => at !== i))}
        />
      ))}
      {filters.length > 1 && (
        <Button size="compact-sm" variant="subtle" color="gray" onClick={() => change([])}>
          Clear filters
        </Button>
      )}
    </div>
  );
}

function Chip({ filter, remove }: { filter: Filter; remove: () => void }) {
  const { column, operator, value } = filter;
  const text = `${column} ${LABELS[operator]}${needsValue(operator) ? ` ${value}` : ''}`;
  return (
    <span className={classes.chip} data-testid="filter">
      <span className={classes.chipText} title={text}>
        {column} <span className={classes.dimmed}>{LABELS[operator]}</span>
        {needsValue(operator) && ` ${value}`}
      </span>
      <ActionIcon size="xs" aria-label={`Remove the filter ${text}`} onClick={remove}>
        <IconX size={12} aria-hidden />
      </ActionIcon>
    </span>
  );
}

function FilterForm({ columns, add }: { columns: readonly Column[]; add: (filter: Filter) => void }) {
  const [name, setName] = useState(columns[0]?.name ?? '');
  const [chosen, setOperator] = useState<FilterOperator | null>(null);
  const [value, setValue] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const column = columns.find((each) => each.name === name) ?? columns[0];
  if (!column) return null;
  const operators = operatorsOf(column);
  const usual: FilterOperator = column.type === 'blob' ? 'is-null' : column.isNumber ? 'equals' : 'contains';
  const operator = chosen !== null && operators.includes(chosen) ? chosen : usual;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const found = problemOf(column, operator, value);
    setProblem(found);
    if (found === null) add({ column: column.name, operator, value: needsValue(operator) ? value : '' });
  };
  return (
    <form className={classes.form} onSubmit={submit}>
      <Select
        size="xs"
        label="Column"
        searchable
        allowDeselect={false}
        comboboxProps={{ withinPortal: false }}
        data={columns.map((each) => each.name)}
        value={column.name}
        onChange={(next) => setName(next ?? column.name)}
        data-autofocus
      />
      <Select
        size="xs"
        label="Condition"
        allowDeselect={false}
        comboboxProps={{ withinPortal: false }}
        data={operators.map((each) => ({ value: each, label: LABELS[each] }))}
        value={operator}
        onChange={(next) => setOperator(next as FilterOperator)}
      />
      {needsValue(operator) && (
        <TextInput
          size="xs"
          label="Value"
          value={value}
          maxLength={1000}
          error={problem}
          onChange={(event) => {
            setValue(event.currentTarget.value);
            setProblem(null);
          }}
        />
      )}
      <Button type="submit" size="compact-sm">
        Apply
      </Button>
    </form>
  );
}
