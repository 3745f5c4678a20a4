import type { Feed } from '../../feed/feed.ts';

/**
 * Determines whether this relay can serve terminals. A silent feed does not make the relay unready: a load balancer
 * would then take every relay of the feed out of service. Readiness and metrics report the silence instead.
 */

export interface Readiness {
  /** Whether every check is ok. */
  ready: boolean;
  checks: { name: string; ok: boolean; detail: string }[];
  /** Faults that do not keep the relay from serving terminals, each with the remedy. */
  warnings: { name: string; detail: string }[];
  /** The state of the feeds, which does not affect `ready`. */
  feeds: { name: string; connected: boolean; lagMs: number | null }[];
}

export function readinessOf(
  feeds: ReadonlyMap<string, Pick<Feed, 'lag' | 'connected' | 'storeFault'>>,
  stopping: AbortSignal,
  keysFault: string | null = null,
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
    warnings: keysFault === null ? [] : [{ name: 'access keys', detail: keysFault }],
    feeds: [...feeds].map(([name, { connected, lag }]) => ({ name, connected, lagMs: lag.lagMs })),
  };
}
