import { Button, Select, Text, Title } from '@mantine/core';
import { IconHistory } from '@tabler/icons-react';
import type { Run } from '@tidemark/protocol/run';
import { FORMAT } from '@tidemark/status/format';
import { type ReactNode, useState } from 'react';
import { Problem } from '../shell/problem.tsx';
import { useNow } from '../state/context.tsx';
import classes from './activity.module.css';
import { RunDrawer } from './run-drawer.tsx';
import { type Filter, matching, NO_FILTER } from './run-groups.ts';
import { RunTables } from './run-table.tsx';
import { OUTCOMES, TRIGGERS } from './run-text.ts';
import { useRuns } from './use-runs.ts';

const options = (all: string, labels: Record<string, string>) => [
  { value: 'all', label: all },
  ...Object.entries(labels).map(([value, label]) => ({ value, label })),
];

/** The history of this PC's runs, newest first. */
export function ActivityScreen() {
  const { runs, fault, loading, complete, more, reload } = useRuns();
  const [filter, setFilter] = useState<Filter>(NO_FILTER);
  const [shown, setShown] = useState<Run | null>(null);
  // Names such as "Today" in the headings change at midnight.
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
          aria-label="Started by"
          allowDeselect={false}
          data={options('Started by anyone', TRIGGERS)}
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
      {matches.length > 0 && <RunTables key={today} runs={matches} open={setShown} />}
      {!complete && runs.length > 0 && (
        <Button variant="default" size="compact-sm" onClick={more} loading={loading} className={classes.more}>
          Show older
        </Button>
      )}
      <RunDrawer run={shown} close={() => setShown(null)} />
    </div>
  );
}

function Empty({ text, children }: { text: string; children?: ReactNode }) {
  return (
    <div className={classes.empty}>
      <IconHistory size={34} stroke={1.3} aria-hidden />
      <Text c="dimmed">{text}</Text>
      {children}
    </div>
  );
}
