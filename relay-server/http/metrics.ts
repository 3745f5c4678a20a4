import { Gauge, Registry } from 'prom-client';
import type { OperationsDeps } from './operations.ts';

/** The relay's metrics as of now, in Prometheus text format. They are computed when they are asked for, from what is in memory. */
export async function metricsText({ feeds, now }: Pick<OperationsDeps, 'feeds' | 'now'>): Promise<string> {
  const registry = new Registry();
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ['feed'], registers: [registry] });
  const head = gauge('relay_head_seq', 'Newest transaction of the feed.');
  const oldest = gauge('relay_oldest_seq', 'Oldest seq that a pull can start from.');
  const lag = gauge('relay_source_lag_seconds', 'How far the feed was behind the master when it was last heard from.');
  const connected = gauge('relay_feed_connected', '1 when a batch or heartbeat of the feed arrived within 20 s.');
  const age = gauge('relay_head_age_seconds', 'Time since the newest transaction was committed at the master.');
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
