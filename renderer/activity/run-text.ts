import { formatCursor } from '@tidemark/protocol/cursor';
import { ERRORS } from '@tidemark/protocol/errors';
import type { Run, Trigger } from '@tidemark/protocol/run';
import { TimeText } from '@tidemark/protocol/time';
import { SET_ASIDE_REASONS } from '@tidemark/protocol/trouble';
import { FORMAT } from '@tidemark/status/format';
import { describeMarks } from '@tidemark/status/table-marks';
import { describeFault } from '../bridge.ts';
import { describeDifference, describeRepair, describeVerify, hasDifferences, verifyOutcome } from './verify-text.ts';

/** Formats runs as text for the list, the details and support. */

/** Labels of the triggers that start a run. */
export const TRIGGERS: Record<Trigger, string> = {
  manual: 'You',
  schedule: 'Schedule',
  start: 'App start',
  watch: 'Automatic',
  command: 'Command line',
};

export const OUTCOMES: Record<Run['outcome'], string> = {
  done: 'Received',
  'nothing-new': 'Nothing new',
  cancelled: 'Cancelled',
  failed: 'Failed',
};

const SNAPSHOTS: Record<NonNullable<Run['snapshot']>, string> = {
  first: 'first sync',
  cheaper: 'a fresh copy was smaller than the changes',
  behind_horizon: 'this PC was away too long',
  epoch_changed: "the server's history was reset",
  cursor_ahead: 'the server was restored from a backup',
  scopes_changed: "this PC's data selection was changed",
  altered: 'another program changed tables on this PC',
  asked: 'requested by a person',
};

/** Returns the result of a run in one or two words. */
export const outcomeLabel = (run: Run): string => verifyOutcome(run) ?? OUTCOMES[run.outcome];

type Counts = Pick<Run, 'inserted' | 'updated' | 'deleted' | 'truncated'>;

export const changesOf = ({ inserted, updated, deleted, truncated }: Counts): number =>
  inserted + updated + deleted + truncated;

/** Formats counts as `812 updated, 400 added, 28 deleted`, without zeros. */
function changeParts({ inserted, updated, deleted, truncated }: Counts): string {
  const parts: [number, string][] = [
    [updated, 'updated'],
    [inserted, 'added'],
    [deleted, 'deleted'],
    [truncated, truncated === 1 ? 'table emptied' : 'tables emptied'],
  ];
  return parts
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${FORMAT.count(count)} ${word}`)
    .join(', ');
}

/** Formats counts as `+400 ~812 −28`, without zeros. */
export function shortChanges({ inserted, updated, deleted, truncated }: Counts): string {
  const parts: [number, string][] = [
    [inserted, '+'],
    [updated, '~'],
    [deleted, '−'],
    [truncated, '∅'],
  ];
  return parts
    .filter(([count]) => count > 0)
    .map(([count, sign]) => `${sign}${FORMAT.count(count)}`)
    .join(' ');
}

/** Describes the effect of a run in sentences without a final full stop, its changes of marks included. */
export function describeRun(run: Run): string {
  const marks = describeMarks(run, FORMAT);
  const onlyMarks = marks.length > 0 && run.outcome === 'done' && run.mode !== 'verify' && changesOf(run) === 0;
  return (onlyMarks ? marks : [describeChanges(run), ...marks]).join('. ');
}

function describeChanges(run: Run): string {
  const changes = changesOf(run);
  const what = changes === 0 ? '' : ` (${changeParts(run)}) in ${FORMAT.counted(run.tables.length, 'table')}`;
  if (run.mode === 'verify' && run.outcome !== 'failed') return describeVerify(run);
  const saved = `${FORMAT.counted(changes, 'change')} saved`;
  switch (run.outcome) {
    case 'done':
      if (hasDifferences(run) && run.snapshot === null) {
        const received = `Received ${FORMAT.counted(changes, 'change')}${what}`;
        return `${received}; ${describeRepair(run)}`;
      }
      if (run.snapshot)
        return `Received a fresh copy: ${FORMAT.counted(changes, 'row')} in ${FORMAT.counted(run.tables.length, 'table')}`;
      return changes === 0 ? 'Nothing new for this PC' : `Received ${FORMAT.counted(changes, 'change')}${what}`;
    case 'nothing-new':
      if (run.mode === 'check' && run.from === null) return 'First copy available';
      return run.mode === 'check' && run.left ? `Found ${FORMAT.counted(run.left, 'change')} waiting` : 'Nothing new';
    case 'cancelled':
      return run.mode === 'check'
        ? 'The check was cancelled'
        : `Cancelled. ${saved}${run.left === null ? '' : `, ${FORMAT.count(run.left)} still waiting`}`;
    case 'failed':
      return run.fault ? describeFault(run.fault).means : 'Failed';
  }
}

const durationMs = (run: Run): number => Math.max(0, run.endedAt - run.startedAt);

export const durationText = (run: Run): string =>
  durationMs(run) < 1000 ? `${durationMs(run)} ms` : FORMAT.span(durationMs(run));

export const snapshotReason = (run: Run): string | null => (run.snapshot === null ? null : SNAPSHOTS[run.snapshot]);

/** Returns a line such as `orders: A row of this table is larger than the limit` for each table that was set aside. */
export const asideLines = ({ setAside = [] }: Run): string[] =>
  setAside.map(({ name, reason }) => `${name}: ${SET_ASIDE_REASONS[reason]}`);

/** Whether a run changed which tables are set aside. */
export const changedMarks = ({ setAside, followed }: Run): boolean => setAside !== undefined || followed !== undefined;

/** Formats a run as text for support. It contains no row values and no secrets. */
export function runText(run: Run): string {
  const lines: (string | null)[] = [
    `Tidemark run ${run.id}`,
    `${outcomeLabel(run)}: ${describeRun(run)}`,
    `Started: ${TimeText.encode(run.startedAt)}`,
    `Ended: ${TimeText.encode(run.endedAt)} (${durationText(run)})`,
    `Started by: ${TRIGGERS[run.trigger]}, mode ${run.mode}`,
    `Position: ${run.from ? formatCursor(run.from) : 'none'} → ${run.to ? formatCursor(run.to) : 'none'}`,
    `Changes: ${changesOf(run)} (added ${run.inserted}, updated ${run.updated}, deleted ${run.deleted}, emptied ${run.truncated})`,
    `Downloaded: ${run.bytes} bytes`,
    run.snapshot === null ? null : `Fresh copy: ${SNAPSHOTS[run.snapshot]}`,
    run.left === null ? null : `Still waiting: ${run.left}`,
    run.retries === 0 ? null : `Failed attempts before: ${run.retries}`,
    ...(run.differences ?? []).map((each) => `  Differed from the server: ${describeDifference(each)}`),
    ...asideLines(run).map((line) => `  Set aside: ${line}`),
    ...(run.followed ?? []).map((name) => `  Follows head office again: ${name}`),
    ...run.tables.map(
      (table) =>
        `  ${table.name}: added ${table.inserted}, updated ${table.updated}, deleted ${table.deleted}, emptied ${table.truncated}`,
    ),
  ];
  if (run.fault) {
    const { means, todo } = describeFault(run.fault);
    lines.push(
      `Error: ${run.fault.code}`,
      means,
      `What to do: ${todo}`,
      ERRORS[run.fault.code].retry ? 'Trying again can help' : 'Trying again does not help',
    );
    if (run.fault.requestId) lines.push(`Request: ${run.fault.requestId}`);
    if (run.fault.detail) lines.push(run.fault.detail);
  }
  return lines.filter((line) => line !== null).join('\n');
}
