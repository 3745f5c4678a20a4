import { ActionIcon, Button, Drawer, Text, Tooltip } from '@mantine/core';
import { IconCopy } from '@tabler/icons-react';
import type { Cell, Column, Output, RowPage } from '@tidemark/electron/contract/contract';
import type { Fault } from '@tidemark/protocol/fault';
import { FORMAT } from '@tidemark/status/format';
import { useState } from 'react';
import { faultOf } from '../bridge.ts';
import { Problem } from '../shell/problem.tsx';
import { useTidemark } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import { copiedText, isCut } from './cell-text.ts';
import classes from './data.module.css';

export type Row = RowPage['rows'][number];

/** Shows one row in full: a line per column, with the complete value on request. */
export function RowDrawer({
  table,
  columns,
  row,
  close,
}: {
  table: string;
  columns: readonly Column[];
  row: Row | null;
  close: () => void;
}) {
  const { copy } = useActions();
  const asText = () =>
    columns.map(({ name }, i) => `${name}: ${row?.cells[i] ? copiedText(row.cells[i]) : 'NULL'}`).join('\n');
  return (
    <Drawer
      opened={row !== null}
      onClose={close}
      size={520}
      title={<span className={classes.drawerTitle}>{table}</span>}
    >
      {row && (
        <div className={classes.record} data-testid="record">
          <dl className={`${classes.fields} selectable`}>
            {columns.map((column, i) => (
              <Field key={column.name} table={table} column={column} row={row} cell={row.cells[i] ?? null} />
            ))}
          </dl>
          <Button
            variant="default"
            w="fit-content"
            leftSection={<IconCopy size={15} aria-hidden />}
            onClick={() => copy(asText(), 'Row')}
          >
            Copy row
          </Button>
        </div>
      )}
    </Drawer>
  );
}

/** Largest value that the drawer shows completely, bytes. */
const MAX_SHOWN_BYTES = 2_000_000;
const PIECE = 65_536;

function Field({ table, column, row, cell }: { table: string; column: Column; row: Row; cell: Cell }) {
  const { api } = useTidemark();
  const { copy } = useActions();
  const [full, setFull] = useState<string | null>(null);
  const [loading, setLoading] = useState(false);
  const [fault, setFault] = useState<Fault | null>(null);

  const load = async () => {
    setLoading(true);
    setFault(null);
    try {
      let text = '';
      for (let offset: number | null = 0; offset !== null; ) {
        const piece: Output<'data.value'> = await api.call('data.value', {
          table,
          key: row.key,
          column: column.name,
          offset,
          length: PIECE,
        });
        text += piece.piece;
        offset = piece.next;
      }
      setFull(text);
    } catch (thrown) {
      setFault(faultOf(thrown));
    } finally {
      setLoading(false);
    }
  };

  const bytes = cell !== null && (cell.type === 'cut' || cell.type === 'blob') ? cell.bytes : 0;
  return (
    <div className={classes.field}>
      <dt>
        <span className={classes.fieldName}>{column.name}</span>
        <span className={classes.fieldType}>
          {column.source}
          {column.isKey && ' · key'}
          {bytes > 0 && ` · ${FORMAT.bytes(bytes)}`}
        </span>
      </dt>
      <dd>
        <div className={classes.shown}>
          <Value cell={cell} full={full} />
          {fault && <Problem fault={fault} retry={() => void load()} />}
          {cell !== null && isCut(cell) && full === null && bytes <= MAX_SHOWN_BYTES && (
            <Button size="compact-xs" variant="subtle" loading={loading} onClick={() => void load()}>
              Show all
            </Button>
          )}
          {cell !== null && isCut(cell) && bytes > MAX_SHOWN_BYTES && (
            <Text size="xs" c="dimmed">
              Too long to show here
            </Text>
          )}
        </div>
        {cell !== null && (
          <Tooltip label="Copy value">
            <ActionIcon
              aria-label={`Copy ${column.name}`}
              onClick={() => copy(full ?? copiedText(cell), 'Value')}
              size="sm"
            >
              <IconCopy size={14} aria-hidden />
            </ActionIcon>
          </Tooltip>
        )}
      </dd>
    </div>
  );
}

function Value({ cell, full }: { cell: Cell; full: string | null }) {
  if (cell === null) return <span className={classes.null}>NULL</span>;
  if (cell.type === 'blob')
    return (
      <code className={classes.hex}>
        {bytesText(full ?? cell.hex)}
        {full === null && isCut(cell) && '…'}
      </code>
    );
  if (cell.type === 'text' && cell.text === '') return <span className={classes.dimmed}>Empty text</span>;
  return (
    <span className={classes.value}>
      {full ?? cell.text}
      {full === null && cell.type === 'cut' && '…'}
    </span>
  );
}

/** Separates the bytes: `00 ff`. */
const bytesText = (hex: string): string => hex.replaceAll(/(..)(?=.)/g, '$1 ');
