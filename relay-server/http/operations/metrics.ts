import { Counter, Gauge, Registry } from 'prom-client';
import type { OperationsDeps } from './operations.ts';

/**
 * Returns the current metrics in the text format of Prometheus. docs/reference/metrics.md is generated from the help
 * texts. A gauge omits a feed for which the value is unknown.
 */
export async function metricsText({
  feeds,
  work,
  now,
}: Pick<OperationsDeps, 'feeds' | 'work' | 'now'>): Promise<string> {
  const registry = new Registry();
  const gauge = <L extends string = never>(name: string, help: string, ...labels: L[]) =>
    new Gauge<'feed' | L>({ name, help, labelNames: ['feed', ...labels], registers: [registry] });
  const head = gauge('relay_head_seq', 'Seq of the newest transaction.');
  const oldest = gauge('relay_oldest_seq', 'Oldest seq from which a pull can start: the horizon.');
  const lag = gauge(
    'relay_source_lag_seconds',
    'Time since the relay last held everything that the master had. It grows while nothing arrives.',
  );
  const connected = gauge(
    'relay_feed_connected',
    '1 while the feed sends batches or heartbeats and reports no fault, otherwise 0.',
  );
  const fault = gauge('relay_feed_fault', '1 while the feed reports this fault; `code` is its error code.', 'code');
  const troubled = gauge('relay_tables_troubled', 'Number of tables that do not follow the master.');
  const trouble = gauge(
    'relay_table_trouble',
    '1 while this table does not follow the master, with the reason. Only the first 100 tables by name.',
    'table',
    'reason',
  );
  const age = gauge('relay_head_age_seconds', 'Time since the master committed the newest transaction.');
  for (const [name, feed] of feeds) {
    const { lagMs } = feed.lag;
    head.set({ feed: name }, feed.row.head);
    oldest.set({ feed: name }, feed.row.horizon);
    connected.set({ feed: name }, feed.connected ? 1 : 0);
    if (lagMs !== null) lag.set({ feed: name }, lagMs / 1000);
    if (feed.troubles.fault) fault.set({ feed: name, code: feed.troubles.fault.code }, 1);
    troubled.set({ feed: name }, feed.troubles.count);
    for (const [table, reason] of feed.troubles.byTable()) trouble.set({ feed: name, table, reason }, 1);
    if (feed.row.committedAt !== null)
      age.set({ feed: name }, Math.max(0, now() - Date.parse(feed.row.committedAt)) / 1000);
  }
  const labels = { labelNames: ['queue'], registers: [registry] };
  const waiting = new Gauge({
    ...labels,
    name: 'relay_queue_waiting',
    help: 'Number of jobs that wait in this queue.',
  });
  const running = new Gauge({ ...labels, name: 'relay_queue_running', help: 'Number of jobs of this queue that run.' });
  const refused = new Counter({
    ...labels,
    name: 'relay_queue_refused_total',
    help: 'Requests that this queue refused because it was full, or because a page was not ready in time, since the start of the relay.',
  });
  const dropped = new Counter({
    ...labels,
    name: 'relay_queue_dropped_total',
    help: 'Jobs of this queue that ended early because nobody waited for them, since the start of the relay.',
  });
  for (const [queue, { state }] of work.queues) {
    waiting.set({ queue }, state.waiting);
    running.set({ queue }, state.running);
    refused.inc({ queue }, state.refused);
    dropped.inc({ queue }, state.dropped);
  }
  return registry.metrics();
}
