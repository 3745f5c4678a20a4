import type { Feed } from '../../feed/feed.ts';

/**
 * Whether this relay can serve terminals. It is about the relay alone: a load balancer takes a relay that is not ready out of
 * service, which would help no one while a feed is silent. Silence is shown here and in the metrics.
 */

export interface Readiness {
  /** Whether every check is ok. */
  ready: boolean;
  checks: { name: string; ok: boolean; detail: string }[];
  /** Not part of `ready`. */
  feeds: { name: string; connected: boolean; lagMs: number | null }[];
}

export function readinessOf(
  feeds: ReadonlyMap<string, Pick<Feed, 'lag' | 'storeFault'>>,
  stopping: AbortSignal,
): Readiness {
  const accepting = !stopping.aborted;
  const checks = [
    { name: 'accepting', ok: accepting, detail: accepting ? '' : 'the relay is stopping' },
    ...[...feeds].map(([name, feed]) => {
      const fault = accepting ? feed.storeFault() : null;
      return { name: `store ${name}`, ok: fault === null, detail: fault ?? '' };
    }),
  ];
  return {
    ready: checks.every(({ ok }) => ok),
    checks,
    feeds: [...feeds].map(([name, { lag }]) => ({ name, connected: lag.connected, lagMs: lag.lagMs })),
  };
}
