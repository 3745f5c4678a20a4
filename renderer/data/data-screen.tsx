import { Button, Loader, Text, Title } from '@mantine/core';
import { IconDatabaseOff, IconFilterOff, IconTable, IconTableOff } from '@tabler/icons-react';
import type { Filter, TableInfo } from '@tidemark/electron/contract/contract';
import type { Fault } from '@tidemark/protocol/fault';
import { SET_ASIDE_REASONS } from '@tidemark/protocol/trouble';
import { FORMAT } from '@tidemark/status/format';
import { type ReactNode, useEffect, useState } from 'react';
import { Problem } from '../shell/problem.tsx';
import { useApp, useFacts, useNow, useStatus, useTidemark } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import { useAnswer } from '../state/use-answer.ts';
import classes from './data.module.css';
import { DataGrid, type Sort } from './data-grid.tsx';
import { FilterBar } from './filter-bar.tsx';
import { type Row, RowDrawer } from './row-drawer.tsx';
import { TablePicker } from './table-picker.tsx';
import { useTotal } from './use-total.ts';

/** The rows of the tables on this PC, read-only. */
export function DataScreen() {
  const { replica, lastRun, configured } = useFacts();
  const show = useApp((state) => state.show);
  const [chosen, choose] = useState<string | null>(null);
  // The data changes with the cursor; a comparison can also repair rows without moving it.
  const version = `${configured}/${replica.cursor?.epoch}/${replica.cursor?.seq}/${lastRun?.id}`;
  const { data: tables, fault, reload } = useAnswer('data.tables', {}, version);
  const current = tables?.find(({ name }) => name === chosen) ?? tables?.[0] ?? null;
  const hasNone = !configured || tables?.length === 0;
  return (
    <div className={classes.screen}>
      <div className={classes.top}>
        <Title order={1} className={classes.title}>
          Data
        </Title>
        <AsOf />
      </div>
      {configured && fault && <Problem fault={fault} retry={reload} />}
      {hasNone && (
        <Empty Icon={IconDatabaseOff} text="No data on this PC yet. The first sync creates the tables.">
          <Button variant="default" size="compact-sm" onClick={() => show('sync')}>
            {configured ? 'Go to Sync' : 'Set up'}
          </Button>
        </Empty>
      )}
      {!hasNone && tables && current && (
        <div className={classes.body}>
          <TablePicker tables={tables} current={current.name} choose={choose} />
          <TableView key={current.name} table={current} version={version} />
        </div>
      )}
    </div>
  );
}

/** States as of when the data is, and the status while it is not up to date, with its next action. */
function AsOf() {
  const { replica } = useFacts();
  const { severity, headline, primary } = useStatus();
  const { run } = useActions();
  const now = useNow();
  const asOf = replica.committedAt;
  if (asOf === null) return null;
  return (
    <div className={classes.asOf} data-testid="as-of">
      <span className="num" title={FORMAT.full(asOf)}>
        Data as of {FORMAT.moment(asOf, now)}
      </span>
      {severity !== 'ok' && (
        <>
          <span className={classes.headline} data-severity={severity} title={headline}>
            {headline}
          </span>
          {primary && (
            <Button size="compact-xs" variant="default" onClick={() => run(primary)}>
              {primary.label}
            </Button>
          )}
        </>
      )}
    </div>
  );
}

/** Time after which a query counts as slow, so that a person is offered to cancel it, ms. */
const SLOW_MS = 1000;

function TableView({ table, version }: { table: TableInfo; version: string }) {
  const { api } = useTidemark();
  const [filters, setFilters] = useState<Filter[]>([]);
  const [sort, setSort] = useState<Sort>(null);
  const [fault, setFault] = useState<Fault | null>(null);
  const [isLoading, setLoading] = useState(false);
  const [row, setRow] = useState<Row | null>(null);
  const [attempt, setAttempt] = useState(0);
  const [total, setTotal] = useTotal({ table: table.name, filters, sort }, isLoading || fault !== null);
  const isSlow = useSlow(isLoading);

  const filter = (next: Filter[]) => {
    void api.call('data.cancel', {});
    setTotal(null);
    setFilters(next);
  };
  const isEmpty = total === 0 && !isLoading && fault === null;
  return (
    <section className={`card ${classes.view}`} aria-label={table.name}>
      <div className={classes.viewHead}>
        <h2 className={classes.name} title={table.name}>
          {table.name}
        </h2>
        <FilterBar columns={table.columns} filters={filters} change={filter} />
      </div>
      {table.setAside && <SetAside mark={table.setAside} />}
      {fault && <Problem fault={fault} retry={() => setAttempt(attempt + 1)} />}
      <div className={classes.content}>
        <DataGrid
          attempt={attempt}
          table={table.name}
          columns={table.columns}
          filters={filters}
          version={version}
          total={total}
          onSort={setSort}
          onTotal={setTotal}
          onFault={setFault}
          onLoading={setLoading}
          onOpen={setRow}
        />
        {isEmpty && (
          <div className={classes.over}>
            {filters.length > 0 ? (
              <Empty Icon={IconFilterOff} text="No rows match.">
                <Button variant="default" size="compact-sm" onClick={() => filter([])}>
                  Clear filters
                </Button>
              </Empty>
            ) : (
              <Empty Icon={IconTable} text="This table has no rows on this PC." />
            )}
          </div>
        )}
      </div>
      <div className={`${classes.foot} num`} aria-live="polite">
        <span data-testid="total">{totalText(total, table.rows, filters.length > 0)}</span>
        {isSlow ? (
          <>
            <Loader size={12} aria-hidden />
            <span>Still reading…</span>
            <Button size="compact-xs" variant="default" onClick={() => void api.call('data.cancel', {})}>
              Cancel
            </Button>
          </>
        ) : (
          <span className={classes.hint}>Enter opens a row · Ctrl+C copies a value</span>
        )}
      </div>
      <RowDrawer table={table.name} columns={table.columns} row={row} close={() => setRow(null)} />
    </section>
  );
}

function totalText(total: number | null, all: number, isFiltered: boolean): string {
  if (total === null) return 'Counting the rows…';
  return isFiltered ? `${FORMAT.count(total)} of ${FORMAT.counted(all, 'row')} match` : FORMAT.counted(total, 'row');
}

/** Returns whether `isLoading` has been true for longer than {@link SLOW_MS}. */
function useSlow(isLoading: boolean): boolean {
  const [isSlow, setSlow] = useState(false);
  useEffect(() => {
    if (!isLoading) return setSlow(false);
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, [isLoading]);
  return isSlow;
}

function SetAside({ mark: { reason, asOf } }: { mark: NonNullable<TableInfo['setAside']> }) {
  const now = useNow();
  return (
    <div className={classes.mark} data-severity="warn">
      <IconTableOff size={15} aria-hidden />
      <span>
        Set aside, as of {FORMAT.moment(asOf, now)}. {SET_ASIDE_REASONS[reason]}.
      </span>
    </div>
  );
}

function Empty({ Icon, text, children }: { Icon: typeof IconTable; text: string; children?: ReactNode }) {
  return (
    <div className={classes.empty}>
      <Icon size={34} stroke={1.3} aria-hidden />
      <Text c="dimmed">{text}</Text>
      {children}
    </div>
  );
}
