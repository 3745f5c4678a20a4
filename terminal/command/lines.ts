import type { Run } from '@tidemark/protocol/run';
import { TimeText } from '@tidemark/protocol/time';
import { SET_ASIDE_REASONS } from '@tidemark/protocol/trouble';
import { deriveStatus } from '@tidemark/status/derive';
import type { Facts } from '@tidemark/status/facts';
import { FORMAT } from '@tidemark/status/format';
import type { Status } from '@tidemark/status/status';
import { describeMarks } from '@tidemark/status/table-marks';
import { faultError } from './call.ts';

/** Formats the lines that the commands print for people. The words for states come from `deriveStatus`. */

/** Describes the work under way in one line. Null when there is none. */
export function progressLine(facts: Facts): string | null {
  const { severity, headline, detail } = deriveStatus(facts, Date.now());
  if (severity !== 'busy') return null;
  const { phase } = facts;
  const finishing = phase.kind === 'syncing' && phase.progress.stage === 'finishing' && phase.progress.total > 0;
  const share = finishing ? FORMAT.percent(phase.progress.done, phase.progress.total) : '';
  return [headline, detail, share].filter((part) => part !== '').join(' · ');
}

/** Describes a run in one line, with the tables that were set aside in it or follow again. */
export const runLine = (run: Run): string =>
  [changesLine(run), ...describeMarks(run, FORMAT).map((text) => `${text}.`)].join(' ');

function changesLine(run: Run): string {
  const position = run.to === null ? '' : ` Position ${FORMAT.count(run.to.seq)}.`;
  if (run.outcome === 'failed') return `Failed. ${run.fault ? faultError(run.fault).message : ''}`.trim();
  if (run.outcome === 'cancelled') return `Cancelled. Changes that were already saved are kept.${position}`;
  if (run.outcome === 'nothing-new') return `Nothing new.${position}`;
  const { inserted, updated, deleted, truncated } = run;
  const all = inserted + updated + deleted + truncated;
  const parts = [
    inserted > 0 ? `${FORMAT.count(inserted)} added` : null,
    updated > 0 ? `${FORMAT.count(updated)} updated` : null,
    deleted > 0 ? `${FORMAT.count(deleted)} deleted` : null,
    truncated > 0 ? `${FORMAT.counted(truncated, 'table')} replaced` : null,
  ].filter((part) => part !== null);
  const changes = `${FORMAT.counted(all, 'change')}${parts.length === 0 ? '' : ` (${parts.join(', ')})`}`;
  const seconds = ((run.endedAt - run.startedAt) / 1000).toFixed(1);
  return `Received ${changes} in ${FORMAT.counted(run.tables.length, 'table')}, ${FORMAT.bytes(run.bytes)}, in ${seconds} s.${position}`;
}

/** Describes the differences that a comparison found, one line per table, and its conclusion. */
export function verifyLines({ run, facts }: { run: Run; facts: Facts }): string[] {
  const { differences } = run;
  const { tables, rows } = facts.replica;
  const position = run.to === null ? '' : ` at position ${FORMAT.count(run.to.seq)}`;
  const all = `${FORMAT.counted(rows, 'row')} in ${FORMAT.counted(tables, 'table')}`;
  const conclusion = `${rows === 1 ? `${all} equals` : `All ${all} equal`} the relay${position}.`;
  if (differences === undefined)
    return ['Downloaded a fresh copy: there was nothing to compare, or too many rows differed.', conclusion];
  const found = differences.map(
    ({ table, missing, extra, different }) =>
      `${table}: ${FORMAT.count(missing)} missing, ${FORMAT.count(extra)} extra, ${FORMAT.count(different)} different`,
  );
  if (run.fault !== null) return found;
  const sum = differences.reduce((total, { missing, extra, different }) => total + missing + extra + different, 0);
  const repaired =
    differences.length === 0
      ? []
      : [`Repaired ${FORMAT.counted(sum, 'row')} in ${FORMAT.counted(differences.length, 'table')}.`];
  return [...found, ...repaired, conclusion];
}

export function statusLines(derived: Status, facts: Facts): string[] {
  const { cursor, tables, rows } = facts.replica;
  const dataAsOf = derived.dataAsOf === null ? '—' : TimeText.encode(derived.dataAsOf);
  const [main = '', ...attention] = sentencesOf(derived);
  return [
    main,
    `Position ${cursor === null ? '—' : cursor.seq}, data as of ${dataAsOf}, ${FORMAT.counted(tables, 'table')}, ${FORMAT.counted(rows, 'row')}`,
    ...setAsideLines(facts.replica.setAside),
    ...attention,
  ];
}

/** Lists tables that are set aside, with their reasons. Empty for a single table, which the status describes. */
function setAsideLines({ count, tables }: Facts['replica']['setAside']): string[] {
  if (count < 2) return [];
  const lines = tables.map(
    ({ name, reason, asOf }) => `Set aside: ${name}, as of ${TimeText.encode(asOf)}. ${SET_ASIDE_REASONS[reason]}`,
  );
  const rest = count - tables.length;
  return rest === 0 ? lines : [...lines, `Set aside: ${FORMAT.counted(rest, 'more table', 'more tables')}`];
}

/** Returns the status and its attention, each as sentences. */
export const sentencesOf = ({ headline, detail, attention }: Status): string[] => [
  `${headline}. ${detail}`,
  ...attention.map(({ text }) => text),
];

/** Puts the time of day in UTC in front of a line: `10:42:05  …`. */
export function timedLine(time: number, line: string): string {
  return `${TimeText.encode(time).slice(11, 19)}  ${line}`;
}
