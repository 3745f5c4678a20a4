import { Gauge, Registry } from 'prom-client';
import type { OperationsDeps } from './operations.ts';

/**
 * Returns the current metrics in the text format of Prometheus. docs/reference/metrics.md is generated from the help
 * texts. A gauge omits a feed for which the value is unknown.
 */
export async function metricsText({ feeds, now }: Pick<OperationsDeps, 'feeds' | 'now'>): Promise<string> {
  const registry = new Registry();
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ['feed'], registers: [registry] });
  const head = gauge('relay_head_seq', 'Seq of the newest transaction.');
  const oldest = gauge('relay_oldest_seq', 'Oldest seq from which a pull can start: the horizon.');
  const lag = gauge('relay_source_lag_seconds', 'Lag of the feed behind the master at its last message.');
  const connected = gauge(
    'relay_feed_connected',
    '1 while the feed sends batches or heartbeats, 0 while it is silent.',
  );
  const age = gauge('relay_head_age_seconds', 'Time since the master committed the newest transaction.');
  for (const [name, feed] of feeds) {
    head.set({ feed: name }, feed.row.head);
    oldest.set({ feed: name }, feed.row.horizon);
    connected.set({ feed: name }, feed.lag.connected ? 1 : 0);
    if (feed.lag.lagMs !== null) lag.set({ feed: name }, feed.lag.lagMs / 1000);
    if (feed.row.committedAt !== null)
      age.set({ feed: name }, Math.max(0, now() - Date.parse(feed.row.committedAt)) / 1000);
  }
  return registry.metrics();
}
