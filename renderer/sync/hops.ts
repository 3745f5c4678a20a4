import type { Facts } from '@tidemark/protocol/status/facts.ts';
import { FORMAT } from '@tidemark/protocol/status/format.ts';
import type { Status, StatusCode } from '@tidemark/protocol/status/status.ts';

/** One hop of the way from head office to this PC, as it is shown. */
export interface Hop {
  state: 'ok' | 'busy' | 'info' | 'warn' | 'error' | 'unknown';
  broken: boolean;
  text: string;
  /** Absolute values, for the tooltip. */
  more: string;
}

const CUT: ReadonlySet<StatusCode> = new Set([
  'offline',
  'unreachable',
  'proxy',
  'signed-out',
  'forbidden',
  'cert',
  'upgrade',
  'agent-down',
]);

const CUT_WORDS: Partial<Record<StatusCode, string>> = {
  offline: 'This PC is offline',
  unreachable: 'Not reachable',
  proxy: 'Blocked by the network',
  'signed-out': 'Sign-in needed',
  forbidden: 'Not allowed',
  cert: 'Identity not verified',
  upgrade: 'Update required',
  'agent-down': 'Sync engine stopped',
};

/** Head office to relay, as the relay last told it. */
export function sourceHop(facts: Facts, now: number): Hop {
  const { probe, thresholds } = facts;
  if (probe === null) return { state: 'unknown', broken: false, text: 'Unknown', more: 'The relay has not answered yet' };
  const { feed, now: relayNow } = probe.status;
  const asked = Date.parse(probe.at);
  const heard = feed.heardAt === null ? null : Date.parse(feed.heardAt);
  const more = `${heard === null ? 'The relay never heard from head office' : `The relay last heard from head office ${FORMAT.full(heard)}`}. Asked ${FORMAT.full(asked)}`;
  if (heard === null) return { state: 'warn', broken: true, text: 'No contact', more };
  const silence = Math.max(0, Date.parse(relayNow) - heard);
  const lag = feed.lagMs === null ? null : feed.lagMs + silence;
  const old = now - asked > thresholds.freshMs ? ` at ${FORMAT.moment(asked, now)}` : '';
  if (lag === null)
    return {
      state: feed.connected ? 'unknown' : 'warn',
      broken: !feed.connected,
      text: feed.connected ? 'Lag unknown' : 'No contact',
      more,
    };
  const late = lag >= thresholds.sourceLagWarnMs;
  if (!feed.connected) return { state: 'warn', broken: true, text: `Disconnected · ${FORMAT.span(silence)}${old}`, more };
  return {
    state: late ? 'warn' : old ? 'unknown' : 'ok',
    broken: false,
    text: lag < 1000 ? `In step${old}` : `${FORMAT.span(lag)} behind${old}`,
    more,
  };
}

/** Relay to this PC. */
export function ownHop(facts: Facts, status: Status, now: number): Hop {
  const { waiting, probe, replica } = facts;
  const asked = probe === null ? null : Date.parse(probe.at);
  const more = asked === null ? 'Never checked' : `Last checked ${FORMAT.full(asked)}`;
  const code = CUT.has(status.code) ? status.code : status.attention.find((each) => CUT.has(each.code))?.code;
  if (code !== undefined)
    return { state: status.severity === 'error' ? 'error' : 'warn', broken: true, text: CUT_WORDS[code] ?? 'Broken', more };
  if (status.progress) {
    const { done, total } = status.progress;
    return { state: 'busy', broken: false, text: total > 0 ? `Receiving · ${FORMAT.percent(done, total)}` : 'Receiving', more };
  }
  if (status.code === 'checking') return { state: 'busy', broken: false, text: 'Asking…', more };
  if (replica.cursor === null) return { state: 'info', broken: false, text: 'Nothing received yet', more };
  if (waiting === null) return { state: 'unknown', broken: false, text: 'Unknown', more };
  const old = asked !== null && now - asked > facts.thresholds.freshMs ? ` at ${FORMAT.moment(asked, now)}` : '';
  if (waiting.changes > 0 || waiting.transactions > 0) {
    const oldest = waiting.oldestAt === null ? '' : `. Oldest committed ${FORMAT.full(Date.parse(waiting.oldestAt))}`;
    return {
      state: 'info',
      broken: false,
      text: `${FORMAT.counted(waiting.changes, 'change')} waiting`,
      more: `${FORMAT.counted(waiting.transactions, 'transaction')}, ${FORMAT.bytes(waiting.bytes)}${oldest}. ${more}`,
    };
  }
  return { state: old ? 'unknown' : 'ok', broken: false, text: `In step${old}`, more };
}
