import { formatCursor } from '@tidemark/protocol/cursor';
import { ERRORS } from '@tidemark/protocol/errors';
import type { Run, Trigger } from '@tidemark/protocol/run';
import { TimeText } from '@tidemark/protocol/time';
import { FORMAT } from '@tidemark/status/format';
import { sayFault } from '../bridge.ts';
import { hasDifferences, sayBroughtInLine, sayDifference, sayVerify, verifyOutcome } from './verify-words.ts';

export const TRIGGERS: Record<Trigger, string> = {
  manual: 'Manual',
  schedule: 'Schedule',
  start: 'Start-up',
  watch: 'Automatic',
  command: 'Command',
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
  epoch_changed: "the relay's history began anew",
  cursor_ahead: 'the relay was restored from a backup',
  scopes_changed: "this PC's share of the data was changed",
  altered: 'another program had changed tables here',
  asked: 'a person asked for it',
};

/** What a run came to, in a word or two. */
export const sayOutcome = (run: Run): string => verifyOutcome(run) ?? OUTCOMES[run.outcome];

type Counts = Pick<Run, 'inserted' | 'updated' | 'deleted' | 'truncated'>;

export const changesOf = ({ inserted, updated, deleted, truncated }: Counts): number =>
  inserted + updated + deleted + truncated;

/** `812 updated, 400 added, 28 deleted`; only what there was. */
export function partsOf({ inserted, updated, deleted, truncated }: Counts): string {
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

/** `+400 ~812 −28`. */
export function shortParts({ inserted, updated, deleted, truncated }: Counts): string {
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

/** What a run did, as a sentence. */
export function sayRun(run: Run): string {
  const changes = changesOf(run);
  const what = changes === 0 ? '' : ` (${partsOf(run)}) in ${FORMAT.counted(run.tables.length, 'table')}`;
  if (run.mode === 'verify' && run.outcome !== 'failed') return sayVerify(run);
  const saved = `${FORMAT.counted(changes, 'change')} saved`;
  switch (run.outcome) {
    case 'done':
      if (hasDifferences(run) && run.snapshot === null) {
        const received = `Received ${FORMAT.counted(changes, 'change')}${what}`;
        return `${received}; ${sayBroughtInLine(run)}`;
      }
      if (run.snapshot)
        return `Received a fresh copy: ${FORMAT.counted(changes, 'row')} in ${FORMAT.counted(run.tables.length, 'table')}`;
      return changes === 0
        ? 'Reached the newest position; no change concerned this PC'
        : `Received ${FORMAT.counted(changes, 'change')}${what}`;
    case 'nothing-new':
      return run.mode === 'check' && run.left ? `Found ${FORMAT.counted(run.left, 'change')} waiting` : 'Nothing new';
    case 'cancelled':
      return run.mode === 'check'
        ? 'The check was cancelled'
        : `Cancelled. ${saved}${run.left === null ? '' : `, ${FORMAT.count(run.left)} still waiting`}`;
    case 'failed':
      return run.fault ? sayFault(run.fault).means : 'Failed';
  }
}

/** Duration, ms. */
export const tookMs = (run: Run): number => Math.max(0, run.endedAt - run.startedAt);

export const sayTook = (run: Run): string => (tookMs(run) < 1000 ? `${tookMs(run)} ms` : FORMAT.span(tookMs(run)));

export const saySnapshot = (run: Run): string | null => (run.snapshot === null ? null : SNAPSHOTS[run.snapshot]);

/** The run as text, to be sent to someone. Holds no row values and no secret. */
export function runText(run: Run): string {
  const lines: (string | null)[] = [
    `Tidemark run ${run.id}`,
    `${sayOutcome(run)}: ${sayRun(run)}`,
    `Started: ${TimeText.encode(run.startedAt)}`,
    `Ended: ${TimeText.encode(run.endedAt)} (${sayTook(run)})`,
    `Trigger: ${TRIGGERS[run.trigger]}, mode ${run.mode}`,
    `Position: ${run.from ? formatCursor(run.from) : 'none'} → ${run.to ? formatCursor(run.to) : 'none'}`,
    `Changes: ${changesOf(run)} (added ${run.inserted}, updated ${run.updated}, deleted ${run.deleted}, emptied ${run.truncated})`,
    `Received: ${run.bytes} bytes`,
    run.snapshot === null ? null : `Fresh copy: ${SNAPSHOTS[run.snapshot]}`,
    run.left === null ? null : `Still waiting: ${run.left}`,
    run.retries === 0 ? null : `Attempts that failed before: ${run.retries}`,
    ...(run.differences ?? []).map((each) => `  Differed from the relay: ${sayDifference(each)}`),
    ...run.tables.map(
      (table) =>
        `  ${table.name}: added ${table.inserted}, updated ${table.updated}, deleted ${table.deleted}, emptied ${table.truncated}`,
    ),
  ];
  if (run.fault) {
    const { means, todo } = sayFault(run.fault);
    lines.push(
      `Error: ${run.fault.code}`,
      means,
      `What to do: ${todo}`,
      `A retry ${ERRORS[run.fault.code].retry ? 'can' : 'cannot'} help`,
    );
    if (run.fault.requestId) lines.push(`Request: ${run.fault.requestId}`);
    if (run.fault.detail) lines.push(run.fault.detail);
  }
  return lines.filter((line) => line !== null).join('\n');
}
