// biome-ignore-all lint/a11y/useSemanticElements: the rows are CSS grids with the roles of a table
// biome-ignore-all lint/a11y/useFocusableInteractive: the button in the first cell takes the focus
import { UnstyledButton } from '@mantine/core';
import {
  IconCheck,
  IconChevronDown,
  IconChevronRight,
  IconCircleX,
  IconEqual,
  IconPlayerStopFilled,
  IconShieldCheck,
  IconTableOff,
  IconTool,
} from '@tabler/icons-react';
import type { Run } from '@tidemark/protocol/run';
import { FORMAT } from '@tidemark/status/format';
import { describeMarks } from '@tidemark/status/table-marks';
import { useState } from 'react';
import { useNow } from '../state/context.tsx';
import classes from './activity.module.css';
import { byDay, type Entry, foundWaiting } from './run-groups.ts';
import {
  changedMarks,
  changesOf,
  describeRun,
  durationText,
  outcomeLabel,
  shortChanges,
  TRIGGERS,
} from './run-text.ts';
import { differingRows, hasDifferences, verifyOutcome } from './verify-text.ts';

const COLUMNS = ['Time', 'Started by', 'Result', 'Changes', 'Tables', 'Downloaded', 'Duration', 'Position'];

const APPEARANCES: Record<Run['outcome'], { Icon: typeof IconCheck; severity: string }> = {
  done: { Icon: IconCheck, severity: 'ok' },
  'nothing-new': { Icon: IconEqual, severity: 'unknown' },
  cancelled: { Icon: IconPlayerStopFilled, severity: 'info' },
  failed: { Icon: IconCircleX, severity: 'error' },
};

/**
 * Returns the icon and colour of a run. A comparison without differences counts as successful, not as "nothing new".
 */
function appearanceOf(run: Run): (typeof APPEARANCES)[Run['outcome']] {
  const found = verifyOutcome(run);
  if (run.setAside !== undefined && run.outcome !== 'failed') return { Icon: IconTableOff, severity: 'warn' };
  if (found === 'Identical') return { Icon: IconShieldCheck, severity: 'ok' };
  return found === 'Repaired' ? { Icon: IconTool, severity: 'info' } : APPEARANCES[run.outcome];
}

/** Shows one table per day, newest first. */
export function RunTables({ runs, open }: { runs: Run[]; open: (run: Run) => void }) {
  const now = useNow();
  return byDay(runs, now).map((day) => (
    <section key={day.name} aria-label={day.name}>
      <h2 className={classes.day}>{day.name}</h2>
      <div className={`card ${classes.table}`} role="table" aria-label={`Runs: ${day.name}`}>
        <div className={`${classes.row} ${classes.headRow}`} role="row">
          {COLUMNS.map((label) => (
            <span key={label} role="columnheader">
              {label}
            </span>
          ))}
        </div>
        {day.entries.map((entry) => (
          <EntryRow key={entry.kind === 'run' ? entry.run.id : entry.id} entry={entry} open={open} />
        ))}
      </div>
    </section>
  ));
}

function EntryRow({ entry, open }: { entry: Entry; open: (run: Run) => void }) {
  const [expanded, setExpanded] = useState(false);
  if (entry.kind === 'run') return <RunRow run={entry.run} open={open} />;
  const [newest, oldest] = [entry.runs[0], entry.runs.at(-1)];
  const Arrow = expanded ? IconChevronDown : IconChevronRight;
  const clock = (run: Run | undefined) => (run ? FORMAT.clock(run.startedAt).slice(0, 5) : '');
  return (
    <>
      <div role="row">
        <div role="cell" aria-colspan={COLUMNS.length}>
          <UnstyledButton
            className={classes.quiet}
            aria-expanded={expanded}
            onClick={() => setExpanded(!expanded)}
            data-testid="quiet"
          >
            <Arrow size={15} aria-hidden />
            <span className="num">
              {clock(oldest)} – {clock(newest)}
            </span>
            <span>{FORMAT.count(entry.runs.length)} checks, nothing new</span>
          </UnstyledButton>
        </div>
      </div>
      {expanded && entry.runs.map((run) => <RunRow key={run.id} run={run} open={open} />)}
    </>
  );
}

function RunRow({ run, open }: { run: Run; open: (run: Run) => void }) {
  const { Icon, severity } = appearanceOf(run);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a larger target for the pointer; the keyboard uses the button in the row
    <div
      className={`${classes.row} ${classes.run} num`}
      role="row"
      data-testid="run"
      data-outcome={run.outcome}
      onClick={() => open(run)}
    >
      <span role="cell">
        <UnstyledButton
          className={classes.time}
          onClick={() => open(run)}
          aria-label={`${FORMAT.clock(run.startedAt)}: ${describeRun(run)}. Show details`}
        >
          {FORMAT.clock(run.startedAt)}
        </UnstyledButton>
      </span>
      <span role="cell">{TRIGGERS[run.trigger]}</span>
      <span role="cell" className={classes.result} data-severity={severity} data-wraps={changedMarks(run) || undefined}>
        <Icon size={15} stroke={2.2} aria-hidden />
        <span>{resultText(run)}</span>
      </span>
      <span role="cell" title={describeRun(run)}>
        {changesText(run)}
      </span>
      <span role="cell">{run.tables.length === 0 ? '—' : FORMAT.count(run.tables.length)}</span>
      <span role="cell">{run.bytes === 0 ? '—' : FORMAT.bytes(run.bytes)}</span>
      <span role="cell">{durationText(run)}</span>
      <span role="cell">{positionText(run)}</span>
    </div>
  );
}

function resultText(run: Run): string {
  if (run.outcome === 'failed' || foundWaiting(run)) return describeRun(run);
  const marks = describeMarks(run, FORMAT);
  // The column with the changes already shows that the run received data.
  return marks.length > 0 && run.outcome !== 'cancelled' ? marks.join('. ') : outcomeLabel(run);
}

function changesText(run: Run): string {
  if (run.mode === 'verify' && hasDifferences(run)) return `${FORMAT.counted(differingRows(run), 'row')} differed`;
  const changes = changesOf(run);
  if (changes === 0) return '—';
  return run.snapshot ? FORMAT.counted(changes, 'row') : shortChanges(run);
}

function positionText({ from, to }: Run): string {
  if (!to || (from && from.epoch === to.epoch && from.seq === to.seq)) return from ? FORMAT.count(from.seq) : '—';
  return `${from ? FORMAT.count(from.seq) : '—'} → ${FORMAT.count(to.seq)}`;
}
