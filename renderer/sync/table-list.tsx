import { Checkbox, Table, Text, TextInput, Tooltip, UnstyledButton } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconSearch, IconTableOff } from '@tabler/icons-react';
import type { TableRow } from '@tidemark/electron/contract/contract';
import { SET_ASIDE_REASONS } from '@tidemark/protocol/trouble';
import { FORMAT } from '@tidemark/status/format';
import { useState } from 'react';
import { Problem } from '../shell/problem.tsx';
import { useFacts, useNow, useStatus } from '../state/context.tsx';
import { useAnswer } from '../state/use-answer.ts';
import classes from './table-list.module.css';
import { arrange, type Only, type Order, type SortKey } from './table-rows.ts';

const COLUMNS: { key: SortKey; label: string; right: boolean; down: boolean }[] = [
  { key: 'name', label: 'Table', right: false, down: false },
  { key: 'rows', label: 'Rows', right: true, down: true },
  { key: 'waiting', label: 'Waiting', right: true, down: true },
  { key: 'lastChangeAt', label: 'Last change', right: true, down: true },
];

/** Lists every table on this PC with its number of rows and of changes waiting, and its mark while it is set aside. */
export function TableList() {
  const { probe, lastRun, replica } = useFacts();
  const [order, setOrder] = useState<Order>({ key: 'name', down: false });
  const [find, setFind] = useState('');
  const [chosen, setOnly] = useState<Only>('all');
  const { waiting } = useStatus();
  const { data, fault, isCurrent, reload } = useAnswer(
    'tables.list',
    {},
    `${probe?.at}/${lastRun?.id}/${replica.cursor?.epoch}/${replica.setAside.count}`,
  );
  const aside = (data ?? []).filter(({ setAside }) => setAside !== null).length;
  // The filter disappears with the last table that is set aside.
  const only = chosen === 'set-aside' && aside === 0 ? 'all' : chosen;
  const tables = (data ?? []).map((row) => ({ ...row, waiting: waitingIn(row, waiting.changes) }));
  const rows = arrange(tables, order, find, only);
  // The status may be newer than this answer.
  const unknown = isCurrent ? 'Unknown' : '…';

  return (
    <section className={`card ${classes.card}`} aria-labelledby="tables-title" data-testid="tables">
      <div className={classes.head}>
        <h2 className="card-title" id="tables-title">
          Tables{data && data.length > 0 ? <span className={classes.total}> {FORMAT.count(data.length)}</span> : null}
        </h2>
        <div className={classes.filters}>
          {aside > 0 && (
            <Checkbox
              size="xs"
              label={`Set aside only (${FORMAT.count(aside)})`}
              checked={only === 'set-aside'}
              onChange={(event) => setOnly(event.currentTarget.checked ? 'set-aside' : 'all')}
            />
          )}
          <Checkbox
            size="xs"
            label="Waiting only"
            checked={only === 'waiting'}
            onChange={(event) => setOnly(event.currentTarget.checked ? 'waiting' : 'all')}
          />
        </div>
        <TextInput
          size="xs"
          w={150}
          placeholder="Find a table"
          aria-label="Find a table"
          leftSection={<IconSearch size={14} aria-hidden />}
          value={find}
          onChange={(event) => setFind(event.currentTarget.value)}
        />
      </div>
      {fault && <Problem fault={fault} retry={reload} />}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must be able to scroll it */}
      <section className={classes.scroll} aria-label="List of tables" tabIndex={0}>
        <Table stickyHeader verticalSpacing={5} horizontalSpacing={10} className="num">
          <Table.Thead>
            <Table.Tr>
              {COLUMNS.map((column) => (
                <Head key={column.key} column={column} order={order} sort={setOrder} />
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={row.name} data-testid={row.setAside ? 'table-set-aside' : 'table'}>
                <Table.Td className={`${classes.name} selectable`}>
                  {row.name}
                  {row.setAside && <Mark mark={row.setAside} />}
                </Table.Td>
                <Table.Td ta="right">{row.rows === null ? (isCurrent ? '—' : '…') : FORMAT.count(row.rows)}</Table.Td>
                <Table.Td ta="right" className={row.waiting ? classes.some : undefined}>
                  {waiting.text === '—'
                    ? '—'
                    : row.waiting === null
                      ? unknown
                      : row.waiting > 0
                        ? `↓ ${FORMAT.count(row.waiting)}`
                        : '0'}
                </Table.Td>
                <Table.Td ta="right">
                  <LastChange at={row.lastChangeAt} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        {data !== null && rows.length === 0 && (
          <Text size="sm" c="dimmed" ta="center" py="lg">
            {data.length === 0 ? 'No tables yet. The first sync creates them.' : 'No tables match.'}
          </Text>
        )}
      </section>
    </section>
  );
}

/**
 * Returns the number of changes that wait in a table. `all`: the number in all tables, which the status determines. When
 * it is 0 or unknown, so is the number of each table.
 */
const waitingIn = (row: TableRow, all: number | null): number | null => (all === null || all === 0 ? all : row.waiting);

/** Shows that a table is set aside, since which commit at head office, and why. */
function Mark({ mark: { reason, asOf } }: { mark: NonNullable<TableRow['setAside']> }) {
  const now = useNow();
  return (
    <Tooltip label={`The rows of this table are as of ${FORMAT.full(asOf)}`}>
      <div className={classes.mark} data-severity="warn">
        <IconTableOff size={14} stroke={2} aria-hidden />
        <span>
          <span className={classes.markTitle}>Set aside, as of {FORMAT.moment(asOf, now)}</span>
          <span className={classes.reason}>{SET_ASIDE_REASONS[reason]}</span>
        </span>
      </div>
    </Tooltip>
  );
}

function LastChange({ at }: { at: number | null }) {
  const now = useNow();
  if (at === null) return '—';
  return (
    <Tooltip label={FORMAT.full(at)}>
      <span>{FORMAT.moment(at, now)}</span>
    </Tooltip>
  );
}

function Head({
  column,
  order,
  sort,
}: {
  column: (typeof COLUMNS)[number];
  order: Order;
  sort: (order: Order) => void;
}) {
  const sorted = order.key === column.key;
  const Arrow = order.down ? IconArrowDown : IconArrowUp;
  return (
    <Table.Th aria-sort={sorted ? (order.down ? 'descending' : 'ascending') : 'none'}>
      <UnstyledButton
        className={classes.sort}
        data-right={column.right || undefined}
        onClick={() => sort({ key: column.key, down: sorted ? !order.down : column.down })}
      >
        {column.label}
        {sorted && <Arrow size={13} aria-hidden />}
      </UnstyledButton>
    </Table.Th>
  );
}
