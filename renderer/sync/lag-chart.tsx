import { CompositeChart } from '@mantine/charts';
import { Button, SegmentedControl, Table, Text } from '@mantine/core';
import type { Sample } from '@tidemark/electron/contract/contract';
import { FORMAT } from '@tidemark/status/format';
import { useMemo, useState } from 'react';
import { Problem } from '../shell/problem.tsx';
import { useFacts, useStatus, useTidemark } from '../state/context.tsx';
import { useAnswer } from '../state/use-answer.ts';
import { countTicks, momentTicks, spanTicks } from './axis-ticks.ts';
import classes from './lag-chart.module.css';
import { type LagPoint, lagSeries, peaks } from './lag-series.ts';

/**
 * The chart of waiting changes. For people who cannot see it, the same data is available as a table and as a sentence.
 */

const RANGES = [
  { value: '1', label: '1 h' },
  { value: '24', label: '24 h' },
  { value: '168', label: '7 d' },
];
const HOUR_MS = 3_600_000;

/** `current`: the number of changes that wait now, from the status. Null: unknown. */
function summaryOf(samples: readonly Sample[], now: number, current: number | null): string {
  const { waiting, lag } = peaks(samples);
  const when = (sample: Sample) => FORMAT.at(sample.at, now);
  const parts: string[] = [];
  if (waiting)
    parts.push(
      waiting.waiting
        ? `Most: ${FORMAT.counted(waiting.waiting, 'change')} ${when(waiting)}`
        : 'No changes were waiting',
    );
  if (lag?.lagMs && lag.lagMs >= 1000) parts.push(`longest time lag: ${FORMAT.span(lag.lagMs)} ${when(lag)}`);
  if (current !== null && waiting?.waiting) parts.push(`now: ${FORMAT.count(current)}`);
  return parts.length === 0 ? 'Nothing was recorded in this time.' : `${parts.join(' · ')}.`;
}

/** Shows waiting changes and the age of the data over time. The chart has a gap where no values are known. */
export function LagChart() {
  const { store } = useTidemark();
  const { probe, lastRun } = useFacts();
  const { changes } = useStatus().waiting;
  const [range, setRange] = useState('1');
  const [asTable, setAsTable] = useState(false);
  const sinceMs = Number(range) * HOUR_MS;
  const { data, fault, isCurrent, reload } = useAnswer('lag.list', { sinceMs }, `${probe?.at}/${lastRun?.id}`);
  const { points, samples, now, from } = useMemo(() => {
    const to = store.getState().now;
    const start = to - sinceMs;
    return {
      points: lagSeries(data ?? [], start, to),
      samples: (data ?? []).filter(({ at }) => at >= start),
      now: to,
      from: start,
    };
  }, [data, sinceMs, store]);
  const { waiting: most, lag: longest } = peaks(samples);
  const [counts, lags] = [countTicks(most?.waiting ?? 0), spanTicks(longest?.lagMs ?? 0)];
  const known = points.some(({ waiting, lagMs }) => waiting !== null || lagMs !== null);
  const axisTime = (at: number) =>
    sinceMs > 30 * HOUR_MS
      ? FORMAT.day(at, now).replace(/^(\w{3})\w* (\d+).*$/, '$1 $2')
      : FORMAT.clock(at).slice(0, 5);
  const summary = summaryOf(samples, now, isCurrent ? changes : null);

  return (
    <section className={`card ${classes.card}`} aria-labelledby="lag-title">
      <div className={classes.head}>
        <h2 className="card-title" id="lag-title">
          Waiting changes over time
        </h2>
        <SegmentedControl size="xs" data={RANGES} value={range} onChange={setRange} aria-label="Time shown" ml="auto" />
      </div>
      <div className={classes.keys}>
        <span className={classes.key}>
          <span className={classes.area} aria-hidden /> Changes waiting
        </span>
        <span className={classes.key}>
          <span className={classes.stroke} aria-hidden /> Time lag
        </span>
      </div>
      {fault ? (
        <Problem fault={fault} retry={reload} />
      ) : asTable ? (
        <PointsTable points={points} now={now} />
      ) : known ? (
        <figure className={classes.figure} aria-label={`Chart of changes waiting and time lag. ${summary}`}>
          <CompositeChart
            h="100%"
            data={points}
            dataKey="at"
            series={[
              { name: 'waiting', label: 'Changes waiting', color: 'var(--tm-accent)', type: 'area' },
              {
                name: 'lagMs',
                label: 'Time lag',
                color: 'var(--tm-warn)',
                type: 'line',
                yAxisId: 'right',
                strokeDasharray: '5 3',
              },
            ]}
            curveType="stepAfter"
            connectNulls={false}
            withDots={points.length < 3}
            strokeWidth={1.6}
            withRightYAxis
            tickLine="none"
            gridAxis="x"
            xAxisProps={{
              type: 'number',
              scale: 'time',
              domain: [from, now],
              ticks: momentTicks(from, now),
              tickFormatter: axisTime,
              interval: 'preserveStart',
              minTickGap: 18,
            }}
            yAxisProps={{
              width: 60,
              ticks: counts,
              domain: [0, counts.at(-1) ?? 1],
              tickFormatter: (value: number) => FORMAT.count(value),
            }}
            rightYAxisProps={{
              width: 62,
              ticks: lags,
              domain: [0, lags.at(-1) ?? 1],
              tickFormatter: (value: number) => (value === 0 ? '0' : FORMAT.span(value)),
            }}
            tooltipProps={{
              content: ({ payload }) => <PointTooltip point={payload?.[0]?.payload as LagPoint | undefined} />,
            }}
            composedChartProps={{ margin: { top: 8 } }}
            accessibilityLayer={false}
            aria-hidden
          />
        </figure>
      ) : (
        <div className={classes.empty}>
          <Text size="sm" c="dimmed">
            {data === null ? 'Loading…' : 'Your sync history will appear here.'}
          </Text>
        </div>
      )}
      <div className={classes.foot}>
        <Text size="xs" c="dimmed" className="num">
          {known ? summary : ''}
        </Text>
        {known && (
          <Button variant="subtle" size="compact-xs" onClick={() => setAsTable(!asTable)} aria-pressed={asTable}>
            {asTable ? 'View as chart' : 'View as table'}
          </Button>
        )}
      </div>
    </section>
  );
}

function PointTooltip({ point }: { point: LagPoint | undefined }) {
  if (!point) return null;
  return (
    <div className={`${classes.tooltip} num`}>
      <div>{FORMAT.full(point.at)}</div>
      <div>Changes waiting: {point.waiting === null ? 'unknown' : FORMAT.count(point.waiting)}</div>
      <div>Time lag: {point.lagMs === null ? 'unknown' : FORMAT.span(point.lagMs)}</div>
    </div>
  );
}

function PointsTable({ points, now }: { points: LagPoint[]; now: number }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must be able to scroll it
    <section className={classes.scroll} tabIndex={0} aria-label="Waiting changes over time, as a table">
      <Table stickyHeader verticalSpacing={4} className="num">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Time</Table.Th>
            <Table.Th ta="right">Changes waiting</Table.Th>
            <Table.Th ta="right">Time lag</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {points.toReversed().map(({ at, waiting, lagMs }) => (
            <Table.Tr key={at}>
              <Table.Td>{FORMAT.moment(at, now)}</Table.Td>
              <Table.Td ta="right">{waiting === null ? 'Unknown' : FORMAT.count(waiting)}</Table.Td>
              <Table.Td ta="right">{lagMs === null ? 'Unknown' : FORMAT.span(lagMs)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  );
}
