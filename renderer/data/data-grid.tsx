import type { Column, RowSet } from '@tidemark/electron/contract/contract';
import type { Fault } from '@tidemark/protocol/fault';
import { FORMAT } from '@tidemark/status/format';
import {
  type CellKeyDownEvent,
  CellStyleModule,
  type ColDef,
  ColumnApiModule,
  ColumnAutoSizeModule,
  type GridApi,
  type IDatasource,
  InfiniteRowModelModule,
  type SortChangedEvent,
  themeQuartz,
} from 'ag-grid-community';
import { AgGridReact } from 'ag-grid-react';
import { useEffect, useMemo, useRef } from 'react';
import { faultOf } from '../bridge.ts';
import { useTidemark } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import { copiedText, shownText } from './cell-text.ts';
import { ColumnHead } from './column-head.tsx';
import classes from './data.module.css';
import type { Row } from './row-drawer.tsx';

/**
 * The rows of one row set. The grid requests blocks of rows as it scrolls; sorting and filtering happen in SQL. It never
 * holds more than {@link MAX_BLOCKS} blocks, whatever the number of rows.
 */

const BLOCK_ROWS = 100;
const MAX_BLOCKS = 20;

const MODULES = [InfiniteRowModelModule, CellStyleModule, ColumnApiModule, ColumnAutoSizeModule];

/** Columns fit their first values, so that numbers are never cut, and long texts do not fill the screen. */
const WIDTHS = { type: 'fitCellContents', defaultMinWidth: 90, defaultMaxWidth: 340 } as const;

const theme = themeQuartz.withParams({
  browserColorScheme: 'inherit',
  fontFamily: 'inherit',
  fontSize: 13,
  rowHeight: 30,
  headerHeight: 44,
  backgroundColor: 'var(--tm-card)',
  foregroundColor: 'var(--mantine-color-text)',
  headerBackgroundColor: 'var(--tm-sunken)',
  headerTextColor: 'var(--mantine-color-text)',
  accentColor: 'var(--tm-accent)',
  borderColor: 'var(--tm-border)',
  rowHoverColor: 'var(--tm-hover)',
  columnBorder: false,
  wrapperBorder: false,
  wrapperBorderRadius: 0,
  cellHorizontalPadding: 10,
});

export type Sort = RowSet['sort'];

export function DataGrid({
  table,
  columns,
  filters,
  version,
  attempt,
  total,
  onSort,
  onTotal,
  onFault,
  onLoading,
  onOpen,
}: {
  table: string;
  columns: readonly Column[];
  filters: RowSet['filters'];
  /** Changes when the data changes. The grid then fetches the shown rows again. */
  version: string;
  /** Changes when a person asks to read the rows again. */
  attempt: number;
  /** Number of rows. Null while the reader counts them. */
  total: number | null;
  onSort: (sort: Sort) => void;
  onTotal: (total: number | null) => void;
  onFault: (fault: Fault | null) => void;
  onLoading: (isLoading: boolean) => void;
  onOpen: (row: Row) => void;
}) {
  const { api } = useTidemark();
  const { copy } = useActions();
  const grid = useRef<GridApi<Row> | null>(null);

  const definitions = useMemo(() => [ROW_NUMBER, ...columns.map(definition)], [columns]);
  const sortOf = (model: readonly { colId: string; sort: string }[]): Sort => {
    const [first] = model;
    const column = first && columns[Number(first.colId)];
    return column ? { column: column.name, descending: first.sort === 'desc' } : null;
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new data source discards the rows of the previous one
  const source = useMemo((): IDatasource => {
    let pending = 0;
    const count = (by: number) => {
      pending += by;
      onLoading(pending > 0);
    };
    return {
      getRows({ startRow, endRow, sortModel, successCallback, failCallback }) {
        const set: RowSet = { table, filters, sort: sortOf(sortModel) };
        count(1);
        api.call('data.rows', { set, from: startRow, limit: endRow - startRow }).then(
          ({ rows, total: found }) => {
            count(-1);
            onFault(null);
            onTotal(found);
            const last = rows.length < endRow - startRow ? startRow + rows.length : undefined;
            successCallback(rows, found ?? last);
          },
          (thrown: unknown) => {
            count(-1);
            failCallback();
            onFault(faultOf(thrown));
          },
        );
      },
    };
  }, [api, table, filters, columns, attempt]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of `version` triggers it
  useEffect(() => grid.current?.refreshInfiniteCache(), [version]);
  useEffect(() => {
    if (total !== null) grid.current?.setRowCount(total, true);
  }, [total]);

  const onKey = ({ event, data, colDef }: CellKeyDownEvent<Row>) => {
    if (!(event instanceof KeyboardEvent) || !data) return;
    if (event.key === 'Enter') onOpen(data);
    const cell = data.cells[Number(colDef.colId)];
    if (event.key.toLowerCase() === 'c' && (event.ctrlKey || event.metaKey) && cell !== undefined)
      copy(copiedText(cell), 'Value');
  };

  return (
    <div className={classes.grid} data-testid="grid">
      <AgGridReact<Row>
        key={table}
        modules={MODULES}
        theme={theme}
        columnDefs={definitions}
        rowModelType="infinite"
        datasource={source}
        cacheBlockSize={BLOCK_ROWS}
        maxBlocksInCache={MAX_BLOCKS}
        maxConcurrentDatasourceRequests={2}
        blockLoadDebounceMillis={50}
        autoSizeStrategy={WIDTHS}
        suppressMultiSort
        suppressNoRowsOverlay
        suppressDragLeaveHidesColumns
        suppressFieldDotNotation
        onGridReady={({ api: ready }) => {
          grid.current = ready;
        }}
        onSortChanged={({ api: changed }: SortChangedEvent<Row>) =>
          onSort(
            sortOf(
              changed
                .getColumnState()
                .flatMap(({ colId, sort }) => (sort === 'asc' || sort === 'desc' ? [{ colId, sort }] : [])),
            ),
          )
        }
        onCellKeyDown={(event) => 'colDef' in event && onKey(event as CellKeyDownEvent<Row>)}
        onRowDoubleClicked={({ data }) => data && onOpen(data)}
      />
    </div>
  );
}

const ROW_NUMBER: ColDef<Row> = {
  colId: 'row-number',
  headerName: '#',
  valueGetter: ({ node }) => (node?.rowIndex ?? 0) + 1,
  valueFormatter: ({ value, data }) => (data ? FORMAT.count(Number(value)) : '…'),
  cellClass: `${classes.rowNumber} num`,
  headerClass: classes.rightHead ?? '',
  pinned: 'left',
  width: 84,
  sortable: false,
  resizable: true,
  suppressMovable: true,
};

function definition(column: Column, i: number): ColDef<Row> {
  return {
    colId: String(i),
    headerName: column.name,
    headerComponentParams: { innerHeaderComponent: ColumnHead, innerHeaderComponentParams: { column } },
    headerClass: column.isNumber ? (classes.rightHead ?? '') : '',
    valueGetter: ({ data }) => data?.cells[i],
    valueFormatter: ({ value }) => shownText(value),
    // The values are objects, which the grid would compare.
    equals: (a, b) => a === b,
    comparator: () => 0,
    cellClass: ({ value }) => {
      const names = [column.isNumber ? `${classes.number} num` : ''];
      if (value === null) names.push(classes.null ?? '');
      else if (value?.type === 'blob') names.push(classes.blob ?? '');
      return names;
    },
    width: 140,
    minWidth: 60,
  };
}
