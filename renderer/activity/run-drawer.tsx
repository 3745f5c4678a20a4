import { Button, Drawer, Table, Text } from '@mantine/core';
import { IconCheck, IconCopy, IconTableOff } from '@tabler/icons-react';
import { formatCursor } from '@tidemark/protocol/cursor';
import { ERRORS } from '@tidemark/protocol/errors';
import type { Run } from '@tidemark/protocol/run';
import { FORMAT } from '@tidemark/status/format';
import { describeFault } from '../bridge.ts';
import { useActions } from '../state/use-actions.ts';
import classes from './activity.module.css';
import { Differences } from './differences.tsx';
import {
  asideLines,
  changedMarks,
  changesOf,
  describeRun,
  durationText,
  outcomeLabel,
  runText,
  snapshotReason,
  TRIGGERS,
} from './run-text.ts';
import { differingRows } from './verify-text.ts';

/** The drawer that shows the details of a run over the list. */

const MODES: Record<Run['mode'], string> = {
  now: 'Sync',
  check: 'Check only',
  'up-to': 'Sync up to a transaction',
  one: 'Sync one transaction',
  recopy: 'Fresh copy',
  verify: 'Verify',
};

/** Shows all details of one run. */
export function RunDrawer({ run, close }: { run: Run | null; close: () => void }) {
  return (
    <Drawer
      opened={run !== null}
      onClose={close}
      size={480}
      title={run ? `${outcomeLabel(run)} · ${FORMAT.full(run.startedAt)}` : ''}
    >
      {run && <Details run={run} />}
    </Drawer>
  );
}

function Details({ run }: { run: Run }) {
  const { copy } = useActions();
  const snapshot = snapshotReason(run);
  const facts: [string, string | null][] = [
    ['Type', MODES[run.mode]],
    ['Started by', TRIGGERS[run.trigger]],
    ['Duration', durationText(run)],
    ['Downloaded', run.bytes === 0 ? '—' : FORMAT.bytes(run.bytes)],
    ['Reason for the fresh copy', snapshot],
    ['From position', run.from ? formatCursor(run.from) : '—'],
    ['To position', run.to ? formatCursor(run.to) : '—'],
    ['Still waiting', run.left === null ? 'Unknown' : FORMAT.counted(run.left, 'change')],
    ['Failed attempts before', run.retries === 0 ? null : FORMAT.count(run.retries)],
    ['Run id', run.id],
  ];
  return (
    <div className={`${classes.details} selectable`}>
      {run.fault ? <ErrorPart run={run} /> : <Text fw={600}>{describeRun(run)}</Text>}
      <dl className={`${classes.facts} num`}>
        {facts
          .filter(([, value]) => value !== null)
          .map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      <Marks run={run} />
      <Differences run={run} />
      {hasUnlistedChanges(run) && <Counts run={run} />}
      <Button
        variant="default"
        leftSection={<IconCopy size={15} aria-hidden />}
        onClick={() => copy(runText(run), 'Run')}
        w="fit-content"
      >
        Copy as text
      </Button>
    </div>
  );
}

/** Reports whether the run received more changes than the repairs that {@link Differences} lists. */
const hasUnlistedChanges = (run: Run) => changesOf(run) > (run.mode === 'verify' ? differingRows(run) : 0);

/** Lists the tables that were set aside in the run, with the reason, and those that follow head office again. */
function Marks({ run }: { run: Run }) {
  const { followed = [] } = run;
  if (!changedMarks(run)) return null;
  return (
    <ul className={classes.marks} aria-label="Tables set aside">
      {asideLines(run).map((line) => (
        <li key={line} data-severity="warn">
          <IconTableOff size={16} stroke={2} aria-hidden />
          <span>Set aside: {line}</span>
        </li>
      ))}
      {followed.map((name) => (
        <li key={name} data-severity="ok">
          <IconCheck size={16} stroke={2} aria-hidden />
          <span>Follows head office again: {name}</span>
        </li>
      ))}
    </ul>
  );
}

function ErrorPart({ run }: { run: Run }) {
  if (!run.fault) return null;
  const { means, todo } = describeFault(run.fault);
  return (
    <div className={classes.error} data-severity="error">
      <Text fw={600}>{means}</Text>
      <Text size="sm">{todo}</Text>
      <Text size="xs" c="dimmed">
        Code {run.fault.code}
        {run.fault.requestId ? ` · request ${run.fault.requestId}` : ''} ·{' '}
        {ERRORS[run.fault.code].retry ? 'trying again can help' : 'trying again does not help'}
      </Text>
      {run.fault.detail && <pre className={classes.pre}>{run.fault.detail}</pre>}
    </div>
  );
}

function Counts({ run }: { run: Run }) {
  const emptied = run.tables.some(({ truncated }) => truncated > 0);
  return (
    <Table verticalSpacing={4} className={`${classes.counts} num`}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Table</Table.Th>
          <Table.Th ta="right">Added</Table.Th>
          <Table.Th ta="right">Updated</Table.Th>
          <Table.Th ta="right">Deleted</Table.Th>
          {emptied && <Table.Th ta="right">Emptied</Table.Th>}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {run.tables.map((table) => (
          <Table.Tr key={table.name}>
            <Table.Td className={classes.tableName}>{table.name}</Table.Td>
            <Table.Td ta="right">{FORMAT.count(table.inserted)}</Table.Td>
            <Table.Td ta="right">{FORMAT.count(table.updated)}</Table.Td>
            <Table.Td ta="right">{FORMAT.count(table.deleted)}</Table.Td>
            {emptied && <Table.Td ta="right">{FORMAT.count(table.truncated)}</Table.Td>}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
