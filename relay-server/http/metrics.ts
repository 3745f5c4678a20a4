import { Gauge, Registry } from 'prom-client';
import type { ServerDeps } from './app.ts';

/** The relay's figures at this moment, for Prometheus. */
export async function metricsText({ feeds, now }: Pick<ServerDeps, 'feeds' | 'now'>): Promise<string> {
  const registry = new Registry();
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ['feed'], registers: [registry] });
  const head = gauge('relay_head_seq', 'Newest transaction of the feed.');
  const oldest = gauge('relay_oldest_seq', 'Oldest seq that a pull can start from.');
  const lag = gauge('relay_source_lag_seconds', 'How far the feed was behind the master when it was last heard from.');
  const connected = gauge('relay_feed_connected', '1 when the feed was heard from lately.');
  const age = gauge('relay_head_age_seconds', 'Time since the newest transaction was committed at the master.');
  for (const [name, feed] of feeds) {
    head.set({ feed: name }, feed.head.head);
    oldest.set({ feed: name }, feed.head.horizon);
    connected.set({ feed: name }, feed.connected ? 1 : 0);
    if (feed.lagMs !== null) lag.set({ feed: name }, feed.lagMs / 1000);
    if (feed.head.committedAt !== null)
      age.set({ feed: name }, Math.max(0, now() - Date.parse(feed.head.committedAt)) / 1000);
  }
  return registry.metrics();
}
