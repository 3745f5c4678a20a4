import type { RelayStatus } from '@tidemark/protocol/api';
import type { Facts, Progress } from '@tidemark/status/facts';
import { FORMAT } from '@tidemark/status/format';
import type { Status, StatusCode } from '@tidemark/status/status';
import { bytesToCome } from '@tidemark/status/to-come';

/** One hop of the way from head office to this PC, as it is shown. */
export interface Hop {
  state: 'ok' | 'busy' | 'info' | 'warn' | 'error' | 'unknown';
  broken: boolean;
  text: string;
  /** Absolute values, for the tooltip. */
  more: string;
}

/** States in which nothing can come over the hop to this PC, with what the hop says. */
const CUT: Partial<Record<StatusCode, string>> = {
  offline: 'This PC is offline',
  unreachable: 'Not reachable',
  proxy: 'Blocked by the network',
  'signed-out': 'Sign-in needed',
  forbidden: 'Not allowed',
  cert: 'Identity not verified',
  upgrade: 'Update required',
  resync: 'Fresh copy needed',
  rewound: 'Histories differ',
  'agent-down': 'Sync engine stopped',
  'db-damaged': 'Database damaged',
  'db-locked': 'Database in use',
  'disk-full': 'Disk full',
};

const DOING: Partial<Record<Progress['stage'], string>> = { comparing: 'Comparing', repairing: 'Repairing' };

/** States in which the way is open, but what is here is not what the relay has. */
const APART: Partial<Record<StatusCode, Pick<Hop, 'state' | 'text'>>> = {
  'scopes-changed': { state: 'info', text: 'Share changed' },
  altered: { state: 'info', text: 'Repair is due' },
  differs: { state: 'warn', text: 'Data differs' },
};

/** States in which this PC does not hear the relay: what the relay said about head office is then old. */
const DEAF: ReadonlySet<StatusCode> = new Set([
  'offline',
  'unreachable',
  'proxy',
  'signed-out',
  'forbidden',
  'cert',
  'upgrade',
  'agent-down',
  'agent-restarting',
  'starting',
  'unknown',
]);

const allCodes = (status: Status): StatusCode[] => [status.code, ...status.attention.map(({ code }) => code)];

/** ` at 10:42` when the relay's last answer no longer speaks for now. */
function asOf(facts: Facts, status: Status, now: number): string {
  if (facts.probe === null) return '';
  const asked = facts.probe.at;
  const old = now - asked > facts.thresholds.freshMs || allCodes(status).some((code) => DEAF.has(code));
  return old ? ` ${FORMAT.at(asked, now)}` : '';
}

/** Head office to relay, as the relay last told it. */
export function sourceHop(facts: Facts, status: Status, now: number): Hop {
  const { probe, thresholds } = facts;
  if (probe === null)
    return { state: 'unknown', broken: false, text: 'Unknown', more: 'The relay has not answered yet' };
  const { feed, now: relayNow } = probe.status;
  const { heardAt: heard } = feed;
  const more = [
    heard === null
      ? 'The relay never heard from head office'
      : `The relay last heard from head office ${FORMAT.full(heard)}`,
    `Asked ${FORMAT.full(probe.at)}`,
    ...readAnew(probe.status, now),
  ].join('. ');
  const then = asOf(facts, status, now);
  if (heard === null) return { state: 'warn', broken: true, text: `No contact${then}`, more };
  const silence = Math.max(0, relayNow - heard);
  if (!feed.connected)
    return { state: 'warn', broken: true, text: `Disconnected for ${FORMAT.span(silence)}${then}`, more };
  if (feed.lagMs === null) return { state: 'unknown', broken: false, text: 'Lag unknown', more };
  const lag = feed.lagMs + silence;
  const text = `${lag < 1000 ? 'In step' : `${FORMAT.span(lag)} behind`}${then}`;
  return {
    state: lag >= thresholds.sourceLagWarnMs ? 'warn' : then === '' ? 'ok' : 'unknown',
    broken: false,
    text,
    more,
  };
}

/** How long it is told that the feed had to read all tables anew. */
const BASE_NEWS_MS = 7 * 24 * 3_600_000;

/** `Read anew on 23 Nov at 10:42: the slot is gone`, while that is news. */
function readAnew({ feed: { base }, now: relayNow }: RelayStatus, now: number): string[] {
  if (base === undefined || relayNow - base.at > BASE_NEWS_MS) return [];
  return [`Read anew ${FORMAT.at(base.at, now)}: ${base.why.trim().replace(/\.$/, '')}`];
}

/** Relay to this PC. Green only when the status itself is. */
export function ownHop(facts: Facts, status: Status, now: number): Hop {
  const { waiting, probe, replica } = facts;
  const more = probe === null ? 'Never checked' : `Last checked ${FORMAT.full(probe.at)}`;
  if (status.progress) {
    const { done, total, stage } = status.progress;
    const doing = DOING[stage] ?? 'Receiving';
    return {
      state: 'busy',
      broken: false,
      text: total > 0 ? `${doing} · ${FORMAT.percent(done, total)}` : doing,
      more,
    };
  }
  if (status.code === 'checking') return { state: 'busy', broken: false, text: 'Asking…', more };
  const cut = allCodes(status).find((code) => CUT[code] !== undefined);
  if (cut !== undefined)
    return { state: status.severity === 'error' ? 'error' : 'warn', broken: true, text: CUT[cut] ?? '', more };
  if (status.severity === 'unknown' || status.code === 'agent-restarting')
    return { state: 'unknown', broken: false, text: 'Unknown', more };
  if (replica.cursor === null) return { state: 'info', broken: false, text: 'Nothing received yet', more };
  const apart = APART[status.code];
  if (apart) return { ...apart, broken: false, more: `${status.detail}. ${more}` };
  if (waiting === null) return { state: 'unknown', broken: false, text: 'Unknown', more };
  if (waiting.changes > 0 || waiting.transactions > 0) {
    const oldest = waiting.oldestAt === null ? '' : `. Oldest committed ${FORMAT.full(waiting.oldestAt)}`;
    const bytes = bytesToCome(facts);
    const size = bytes === null ? '' : `, about ${FORMAT.bytes(bytes)} to receive`;
    const text =
      waiting.changes > 0
        ? FORMAT.counted(waiting.changes, 'change')
        : FORMAT.counted(waiting.transactions, 'transaction');
    return {
      state: 'info',
      broken: false,
      text: `${text} waiting`,
      more: `${FORMAT.counted(waiting.transactions, 'transaction')}${size}${oldest}. ${more}`,
    };
  }
  const then = asOf(facts, status, now);
  const head = probe?.status.head?.seq ?? 0;
  const others = head > replica.cursor.seq ? 'What the relay has besides is not for this PC. ' : '';
  return { state: then === '' ? 'ok' : 'unknown', broken: false, text: `In step${then}`, more: `${others}${more}` };
}
