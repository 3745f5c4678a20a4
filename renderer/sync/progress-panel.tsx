import { Text } from '@mantine/core';
import { IconCheck } from '@tabler/icons-react';
import type { Progress } from '@tidemark/status/facts';
import { FORMAT } from '@tidemark/status/format';
import { useState } from 'react';
import { useNow } from '../state/context.tsx';
import classes from './progress-panel.module.css';

/** Shows the progress of the active run below the status. */

type Stages = { stage: Progress['stage']; label: string }[];

const STAGES: Stages = [
  { stage: 'preparing', label: 'Checking' },
  { stage: 'downloading', label: 'Downloading' },
  { stage: 'applying', label: 'Applying' },
  { stage: 'finishing', label: 'Finishing' },
];

const VERIFY_STAGES: Stages = [
  { stage: 'preparing', label: 'Checking' },
  { stage: 'comparing', label: 'Comparing' },
  { stage: 'repairing', label: 'Repairing' },
  { stage: 'finishing', label: 'Finishing' },
];

/**
 * Returns the stages of this run. A run shows the stages of a comparison from its first comparing stage until it ends.
 */
function useStages({ runId, stage }: Progress): { stages: Stages; comparison: boolean } {
  const [compared, setCompared] = useState<string | null>(null);
  const compares = stage === 'comparing' || stage === 'repairing';
  if (compares && compared !== runId) setCompared(runId);
  const comparison = compares || (compared === runId && stage === 'finishing');
  return { stages: comparison ? VERIFY_STAGES : STAGES, comparison };
}

/** Returns `1,240 of 5,310 changes`, or null while the total is unknown. */
function progressText({ done, total, unit }: Progress): string | null {
  return total > 0 ? `${FORMAT.count(Math.min(done, total))} of ${FORMAT.counted(total, unit.slice(0, -1))}` : null;
}

/** Shows the progress of a run: amount, rate and remaining time. Omits unknown values. */
export function ProgressPanel({ progress }: { progress: Progress }) {
  const now = useNow();
  const { done, total, bytes, bytesTotal, rate, etaS, stage, table, tableIndex, tableCount } = progress;
  const text = progressText(progress);
  const share = total > 0 ? Math.min(1, done / total) : null;
  const { stages, comparison } = useStages(progress);
  const at = stages.findIndex((each) => each.stage === stage);
  const facts: [label: string, value: string][] = [];
  if (bytesTotal > 0)
    facts.push(['Downloaded', `${FORMAT.bytes(Math.min(bytes, bytesTotal))} of ${FORMAT.bytes(bytesTotal)}`]);
  else if (bytes > 0) facts.push(['Downloaded', FORMAT.bytes(bytes)]);
  if (rate !== null) facts.push(['Rate', `${FORMAT.count(rate)} ${progress.unit}/s`]);
  facts.push(['Elapsed', FORMAT.span(now - progress.startedAt)]);
  if (etaS !== null) facts.push(['Time left', FORMAT.left(etaS * 1000)]);
  if (table === null && comparison && tableCount > 0) facts.push(['Tables', FORMAT.count(tableCount)]);
  if (table !== null)
    facts.push(['Table', tableCount > 0 ? `${table} (${Math.max(1, tableIndex)} of ${tableCount})` : table]);
  return (
    <div className={classes.panel}>
      <ol className={classes.stages} aria-label="Stages">
        {stages.map(({ stage: each, label }, index) => (
          <li
            key={each}
            data-is={index < at ? 'over' : index === at ? 'now' : 'next'}
            aria-current={index === at ? 'step' : undefined}
          >
            {index < at && <IconCheck size={13} stroke={2.5} aria-label="done" />}
            {label}
          </li>
        ))}
      </ol>
      <div className={classes.line}>
        <div
          className={classes.track}
          role="progressbar"
          aria-label={comparison ? 'Verify progress' : 'Sync progress'}
          aria-valuemin={0}
          aria-valuemax={100}
          {...(share === null ? {} : { 'aria-valuenow': Math.floor(share * 100) })}
          aria-valuetext={text ?? 'Preparing…'}
        >
          <div
            className={share === null ? classes.unknown : classes.fill}
            style={share === null ? undefined : { width: `${share * 100}%` }}
          />
        </div>
        <Text size="sm" className={`${classes.share} num`}>
          {text && share !== null ? `${text} · ${FORMAT.percent(done, total)}` : 'Preparing…'}
        </Text>
      </div>
      <dl className={`${classes.facts} num`}>
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
