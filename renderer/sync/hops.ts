import type { RelayStatus } from '@tidemark/protocol/api';
import type { Facts, Progress } from '@tidemark/status/facts';
import { FORMAT } from '@tidemark/status/format';
import { bytesToDownload } from '@tidemark/status/next-sync';
import { sourceLagMs } from '@tidemark/status/source-lag';
import type { Status, StatusCode } from '@tidemark/status/status';

/** One hop between head office and this PC, as shown by the pipeline strip. */
export interface Hop {
  state: 'ok' | 'busy' | 'info' | 'warn' | 'error' | 'unknown';
  broken: boolean;
  text: string;
  /** Absolute values for the tooltip. */
  more: string;
}

/** Text on the hop for each status in which no data can reach this PC. */
const BLOCKED: Partial<Record<StatusCode, string>> = {
  offline: 'This PC is offline',
  unreachable: 'Not reachable',
  proxy: 'Blocked by the network',
  'signed-out': 'Sign-in needed',
  forbidden: 'Not allowed',
  cert: 'Identity not verified',
  upgrade: 'Update required',
  resync: 'Fresh copy needed',
  rewound: 'Fresh copy needed',
  'agent-down': 'Sync stopped',
  'db-damaged': 'Database damaged',
  'db-locked': 'Database in use',
  'disk-full': 'Disk full',
};

const STAGE_WORDS: Partial<Record<Progress['stage'], string>> = { comparing: 'Comparing', repairing: 'Repairing' };

/** Text on the hop for each status in which the server is reachable but the local data differs from the server's. */
const DIFFERING: Partial<Record<StatusCode, Pick<Hop, 'state' | 'text'>>> = {
  'scopes-changed': { state: 'info', text: 'Data selection changed' },
  altered: { state: 'info', text: 'Repair needed' },
  differs: { state: 'warn', text: 'Data differs' },
};

/** Statuses in which this PC gets no answer from the server, so that its last report about head office is old. */
const WITHOUT_ANSWER: ReadonlySet<StatusCode> = new Set([
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

/** A lag below this, in ms, only reflects the time between two heartbeats, which an idle feed sends every 5 s. */
const IN_STEP_MS = 10_000;

const allCodes = (status: Status): StatusCode[] => [status.code, ...status.attention.map(({ code }) => code)];

/** Returns ` at 10:42` if the last answer is too old to describe the current state. */
function asOf(facts: Facts, status: Status, now: number): string {
  if (facts.probe === null) return '';
  const asked = facts.probe.at;
  const old = now - asked > facts.thresholds.freshMs || allCodes(status).some((code) => WITHOUT_ANSWER.has(code));
  return old ? ` ${FORMAT.at(asked, now)}` : '';
}

/** Returns the hop from head office to the server, according to the server's last answer. */
export function sourceHop(facts: Facts, status: Status, now: number): Hop {
  const { probe, thresholds } = facts;
  if (probe === null)
    return { state: 'unknown', broken: false, text: 'Unknown', more: 'The server has not answered yet' };
  const { feed, now: relayNow } = probe.status;
  const { heardAt: heard } = feed;
  const more = [
    heard === null
      ? 'The server has never heard from head office'
      : `The server last heard from head office ${FORMAT.full(heard)}`,
    `Asked ${FORMAT.full(probe.at)}`,
    ...baseCopyNote(probe.status, now),
  ].join('. ');
  const then = asOf(facts, status, now);
  if (feed.fault)
    return { state: 'warn', broken: true, text: `Stopped since ${FORMAT.moment(feed.fault.since, now)}${then}`, more };
  if (heard === null) return { state: 'warn', broken: true, text: `No contact${then}`, more };
  const silence = Math.max(0, relayNow - heard);
  if (!feed.connected)
    return { state: 'warn', broken: true, text: `Disconnected for ${FORMAT.span(silence)}${then}`, more };
  const lag = sourceLagMs(probe.status);
  if (lag === null) return { state: 'unknown', broken: false, text: 'Lag unknown', more };
  const { troubled } = feed;
  if (troubled !== undefined && lag < thresholds.sourceLagWarnMs)
    return { state: 'warn', broken: false, text: `${FORMAT.counted(troubled, 'table')} not sent${then}`, more };
  const text = `${lag < IN_STEP_MS ? 'Up to date' : `${FORMAT.span(lag)} behind`}${then}`;
  return {
    state: lag >= thresholds.sourceLagWarnMs ? 'warn' : then === '' ? 'ok' : 'unknown',
    broken: false,
    text,
    more,
  };
}

/** How long the tooltip mentions a new base copy, in ms. */
const BASE_COPY_NEWS_MS = 7 * 24 * 3_600_000;

/** Returns `All tables were re-read on 23 Nov at 10:42: the slot is gone` if the base copy is recent. */
function baseCopyNote({ feed: { base }, now: relayNow }: RelayStatus, now: number): string[] {
  if (base === undefined || relayNow - base.at > BASE_COPY_NEWS_MS) return [];
  return [`All tables were re-read ${FORMAT.at(base.at, now)}: ${base.why.trim().replace(/\.$/, '')}`];
}

/** Returns the hop from the server to this PC. It is green only if the status is green. */
export function terminalHop(facts: Facts, status: Status, now: number): Hop {
  const { waiting, probe, replica } = facts;
  const more = probe === null ? 'Never checked' : `Last checked ${FORMAT.full(probe.at)}`;
  if (status.progress) {
    const { done, total, stage } = status.progress;
    const doing = STAGE_WORDS[stage] ?? 'Receiving';
    return {
      state: 'busy',
      broken: false,
      text: total > 0 ? `${doing} · ${FORMAT.percent(done, total)}` : doing,
      more,
    };
  }
  if (status.code === 'checking') return { state: 'busy', broken: false, text: 'Checking…', more };
  const cut = allCodes(status).find((code) => BLOCKED[code] !== undefined);
  if (cut !== undefined)
    return { state: status.severity === 'error' ? 'error' : 'warn', broken: true, text: BLOCKED[cut] ?? '', more };
  if (status.severity === 'unknown' || status.code === 'agent-restarting')
    return { state: 'unknown', broken: false, text: 'Unknown', more };
  if (replica.cursor === null) return { state: 'info', broken: false, text: 'Nothing received yet', more };
  const apart = DIFFERING[status.code];
  if (apart) return { ...apart, broken: false, more: `${status.detail}. ${more}` };
  if (waiting === null) return { state: 'unknown', broken: false, text: 'Unknown', more };
  if (waiting.changes > 0 || waiting.transactions > 0) {
    const oldest = waiting.oldestAt === null ? '' : `. Oldest committed ${FORMAT.full(waiting.oldestAt)}`;
    const bytes = bytesToDownload(facts);
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
  const aside = replica.setAside.count;
  if (aside > 0)
    return { state: 'warn', broken: false, text: `${FORMAT.counted(aside, 'table')} set aside${then}`, more };
  const head = probe?.status.head?.seq ?? 0;
  const others = head > replica.cursor.seq ? 'The server also has changes that are not for this PC. ' : '';
  // This PC has everything that the server has. Whether that is up to date follows from the status.
  const text = status.code === 'up-to-date' || status.code === 'up-to-date-old' ? 'Up to date' : 'Nothing waiting';
  return { state: then === '' ? 'ok' : 'unknown', broken: false, text: `${text}${then}`, more: `${others}${more}` };
}
