import { Button, Select, Text, Title, UnstyledButton } from '@mantine/core';
import {
  IconCheck,
  IconChevronDown,
  IconChevronRight,
  IconCircleX,
  IconEqual,
  IconHistory,
  IconPlayerStop,
  IconShieldCheck,
  IconTool,
} from '@tabler/icons-react';
import type { Run } from '@tidemark/protocol/run';
import { FORMAT } from '@tidemark/status/format';
import { useState } from 'react';
import { Problem } from '../shell/problem.tsx';
import { useNow } from '../state/context.tsx';
import classes from './activity.module.css';
import { RunDrawer } from './run-drawer.tsx';
import { byDay, type Entry, type Filter, foundWaiting, matching, NO_FILTER } from './run-groups.ts';
import { changesOf, OUTCOMES, sayOutcome, sayRun, sayTook, shortParts, TRIGGERS } from './run-words.ts';
import { useRuns } from './use-runs.ts';
import { hasDifferences, rowsApart, verifyOutcome } from './verify-words.ts';

const LOOKS: Record<Run['outcome'], { Icon: typeof IconCheck; severity: string }> = {
  done: { Icon: IconCheck, severity: 'ok' },
  'nothing-new': { Icon: IconEqual, severity: 'unknown' },
  cancelled: { Icon: IconPlayerStop, severity: 'info' },
  failed: { Icon: IconCircleX, severity: 'error' },
};

/** A comparison that found nothing amiss is good news, and one that had to repair is more than a sync. */
function lookOf(run: Run): (typeof LOOKS)[Run['outcome']] {
  const found = verifyOutcome(run);
  if (found === 'All equal') return { Icon: IconShieldCheck, severity: 'ok' };
  return found === 'Repaired' ? { Icon: IconTool, severity: 'info' } : LOOKS[run.outcome];
}

const options = (all: string, words: Record<string, string>) => [
  { value: 'all', label: all },
  ...Object.entries(words).map(([value, label]) => ({ value, label })),
];

/** Past runs of this PC, newest first. */
export function ActivityScreen() {
  const { runs, fault, loading, complete, more, reload } = useRuns();
  const [filter, setFilter] = useState<Filter>(NO_FILTER);
  const [shown, setShown] = useState<Run | null>(null);
  const today = FORMAT.day(useNow(), 0);
  const matches = matching(runs, filter);
  return (
    <div className={classes.screen}>
      <div className={classes.top}>
        <Title order={1} className={classes.title}>
          Activity
        </Title>
        <Select
          size="xs"
          w={150}
          aria-label="Result"
          allowDeselect={false}
          data={options('All results', OUTCOMES)}
          value={filter.outcome}
          onChange={(value) => setFilter({ ...filter, outcome: (value ?? 'all') as Filter['outcome'] })}
        />
        <Select
          size="xs"
          w={150}
          aria-label="Trigger"
          allowDeselect={false}
          data={options('All triggers', TRIGGERS)}
          value={filter.trigger}
          onChange={(value) => setFilter({ ...filter, trigger: (value ?? 'all') as Filter['trigger'] })}
        />
      </div>
      {fault && <Problem fault={fault} retry={reload} />}
      {!fault && !loading && runs.length === 0 && <Empty text="No syncs yet. Your first sync will appear here." />}
      {runs.length > 0 && matches.length === 0 && (
        <Empty text="No runs match.">
          <Button variant="default" size="compact-sm" onClick={() => setFilter(NO_FILTER)}>
            Clear filters
          </Button>
        </Empty>
      )}
      {matches.length > 0 && <Days key={today} runs={matches} open={setShown} />}
      {!complete && runs.length > 0 && (
        <Button variant="default" size="compact-sm" onClick={more} loading={loading} className={classes.more}>
          Show older
        </Button>
      )}
      <RunDrawer run={shown} close={() => setShown(null)} />
    </div>
  );
}

function Empty({ text, children }: { text: string; children?: React.ReactNode }) {
  return (
    <div className={classes.empty}>
      <IconHistory size={34} stroke={1.3} aria-hidden />
      <Text c="dimmed">{text}</Text>
      {children}
    </div>
  );
}

function Days({ runs, open }: { runs: Run[]; open: (run: Run) => void }) {
  const now = useNow();
  return byDay(runs, now).map((day) => (
    <section key={day.name} aria-label={day.name}>
      <h2 className={classes.day}>{day.name}</h2>
      <div className={`card ${classes.table}`} role="table" aria-label={`Runs: ${day.name}`}>
        <div className={`${classes.row} ${classes.headRow}`} role="row">
          {['Started', 'Trigger', 'Result', 'Changes', 'Tables', 'Size', 'Duration', 'Position'].map((label) => (
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
  const [wide, setWide] = useState(false);
  if (entry.kind === 'run') return <RunRow run={entry.run} open={open} />;
  const [newest, oldest] = [entry.runs[0], entry.runs.at(-1)];
  const Arrow = wide ? IconChevronDown : IconChevronRight;
  const clock = (run: Run | undefined) => (run ? FORMAT.clock(run.startedAt).slice(0, 5) : '');
  return (
    <>
      <div role="row">
        <div role="cell" aria-colspan={8}>
          <UnstyledButton
            className={classes.quiet}
            aria-expanded={wide}
            onClick={() => setWide(!wide)}
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
      {wide && entry.runs.map((run) => <RunRow key={run.id} run={run} open={open} />)}
    </>
  );
}

function RunRow({ run, open }: { run: Run; open: (run: Run) => void }) {
  const { Icon, severity } = lookOf(run);
  const startedAt = run.startedAt;
  return (
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
          aria-label={`${FORMAT.clock(startedAt)}: ${sayRun(run)}. Show details`}
        >
          {FORMAT.clock(startedAt)}
        </UnstyledButton>
      </span>
      <span role="cell">{TRIGGERS[run.trigger]}</span>
      <span role="cell" className={classes.result} data-severity={severity}>
        <Icon size={15} stroke={2.2} aria-hidden />
        <span>{run.outcome === 'failed' || foundWaiting(run) ? sayRun(run) : sayOutcome(run)}</span>
      </span>
      <span role="cell" title={sayRun(run)}>
        {sayChanges(run)}
      </span>
      <span role="cell">{run.tables.length === 0 ? '—' : FORMAT.count(run.tables.length)}</span>
      <span role="cell">{run.bytes === 0 ? '—' : FORMAT.bytes(run.bytes)}</span>
      <span role="cell">{sayTook(run)}</span>
      <span role="cell">{positions(run)}</span>
    </div>
  );
}

function sayChanges(run: Run): string {
  if (run.mode === 'verify' && hasDifferences(run)) return `${FORMAT.counted(rowsApart(run), 'row')} differed`;
  const changes = changesOf(run);
  if (changes === 0) return '—';
  return run.snapshot ? FORMAT.counted(changes, 'row') : shortParts(run);
}

function positions({ from, to }: Run): string {
  if (!to || (from && from.epoch === to.epoch && from.seq === to.seq)) return from ? FORMAT.count(from.seq) : '—';
  return `${from ? FORMAT.count(from.seq) : '—'} → ${FORMAT.count(to.seq)}`;
}
