import type { Progress } from './facts.ts';
import { bytesToDownload } from './next-sync.ts';
import type { Reading, State } from './reading.ts';
import { sourceLagMs } from './source-lag.ts';
import type { Hop, Status, StatusCode } from './status.ts';
import { waitingOf } from './waiting.ts';

/**
 * The way of the data: the hop from head office to the relay, and the hop from the relay to this PC. A hop is green only
 * while the relay's last answer holds; otherwise it is grey and names the time of the answer. Tables in trouble are
 * stated on the hop on which they stop, once.
 */

/** Text on the hop to this PC for each status in which no data can reach it. */
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

/** Text on the hop for each status in which the relay is reachable but the local data differs from the relay's. */
const DIFFERING: Partial<Record<StatusCode, Pick<Hop, 'state' | 'text'>>> = {
  'scopes-changed': { state: 'info', text: 'Data selection changed' },
  altered: { state: 'info', text: 'Repair needed' },
  differs: { state: 'warn', text: 'Data differs' },
};

/** A lag below this, in ms, only reflects the time between two heartbeats, which an idle feed sends every 5 s. */
const IN_STEP_MS = 10_000;

/** How long the tooltip mentions a new base copy, in ms. */
const BASE_COPY_NEWS_MS = 7 * 24 * 3_600_000;

/** Returns both hops. `codes`: the codes of the main state and of everything that needs attention. */
export function wayOf(reading: Reading, main: State, codes: StatusCode[]): Status['way'] {
  // Beside an error, every statement has its time, so that nothing looks fine at a glance.
  const holds = reading.answerHolds && main.severity !== 'error';
  return { source: sourceHop(reading, holds), own: ownHop(reading, main, codes, holds) };
}

const hop = (state: Hop['state'], text: string, more: string, broken = false): Hop => ({ state, broken, text, more });

/** Returns ` at 10:42` if the last answer may no longer describe the present. */
const thenOf = ({ answeredAt, format, now }: Reading, holds: boolean): string =>
  holds || answeredAt === null ? '' : ` ${format.at(answeredAt, now)}`;

/** Returns the hop from head office to the relay, according to the relay's last answer. */
function sourceHop(reading: Reading, holds: boolean): Hop {
  const { facts, format, now, troubledElsewhere } = reading;
  const { probe, thresholds, replica } = facts;
  if (probe === null) return hop('unknown', 'Unknown', 'The server has not answered yet');
  const { feed, now: relayNow } = probe.status;
  const { heardAt: heard, troubled = 0 } = feed;
  const more = [
    heard === null
      ? 'The server has never heard from head office'
      : `The server last heard from head office ${format.full(heard)}`,
    `Asked ${format.full(probe.at)}`,
    ...baseCopyNote(reading),
  ].join('. ');
  const then = thenOf(reading, holds);
  if (feed.fault) return hop('warn', `Stopped since ${format.moment(feed.fault.since, now)}${then}`, more, true);
  if (heard === null) return hop('warn', `No contact${then}`, more, true);
  if (!feed.connected)
    return hop('warn', `Disconnected for ${format.span(Math.max(0, relayNow - heard))}${then}`, more, true);
  const lag = sourceLagMs(probe.status);
  if (lag === null) return hop('unknown', 'Lag unknown', more);
  if (troubled > 0 && lag < thresholds.sourceLagWarnMs) {
    const isAllHere = troubledElsewhere === 0 && replica.setAside.count === troubled;
    return hop('warn', `${format.counted(troubled, 'table')} ${isAllHere ? 'set aside' : 'not sent'}${then}`, more);
  }
  const text = `${lag < IN_STEP_MS ? 'Up to date' : `${format.span(lag)} behind`}${then}`;
  return hop(lag >= thresholds.sourceLagWarnMs ? 'warn' : holds ? 'ok' : 'unknown', text, more);
}

/** Returns `All tables were re-read on 23 Nov at 10:42: the slot is gone` if the base copy is recent. */
function baseCopyNote({ facts: { probe }, format, now }: Reading): string[] {
  const base = probe?.status.feed.base;
  if (probe === null || base === undefined || probe.status.now - base.at > BASE_COPY_NEWS_MS) return [];
  return [`All tables were re-read ${format.at(base.at, now)}: ${base.why.trim().replace(/\.$/, '')}`];
}

/** Returns the hop from the relay to this PC. */
function ownHop(reading: Reading, main: State, codes: StatusCode[], holds: boolean): Hop {
  const { facts, format, progress } = reading;
  const { probe, replica } = facts;
  const more = probe === null ? 'Never checked' : `Last checked ${format.full(probe.at)}`;
  if (progress !== null && facts.agent.state === 'alive') {
    const { done, total, stage } = progress;
    const doing = STAGE_WORDS[stage] ?? 'Receiving';
    return hop('busy', total > 0 ? `${doing} · ${format.percent(done, total)}` : doing, more);
  }
  if (main.code === 'checking') return hop('busy', 'Checking…', more);
  const cut = codes.find((code) => BLOCKED[code] !== undefined);
  if (cut !== undefined) return hop(main.severity === 'error' ? 'error' : 'warn', BLOCKED[cut] ?? '', more, true);
  if (main.severity === 'unknown' || main.code === 'agent-restarting') return hop('unknown', 'Unknown', more);
  if (replica.cursor === null) return hop('info', 'Nothing received yet', more);
  const apart = DIFFERING[main.code];
  if (apart) return { ...apart, broken: false, more: `${main.detail}. ${more}` };
  if (reading.behind) return waitingHop(reading, holds, more);
  const then = thenOf(reading, holds);
  if (!reading.atHead) return hop('unknown', 'Unknown', more);
  const aside = replica.setAside.count - (probe?.status.feed.troubled ?? 0);
  if (aside > 0) return hop('warn', `${format.counted(aside, 'table')} set aside${then}`, more);
  const head = probe?.status.head?.seq ?? 0;
  const others = head > replica.cursor.seq ? 'The server also has changes that are not for this PC. ' : '';
  // This PC has everything that the server has. Whether that is up to date follows from the status.
  const text = main.code === 'up-to-date' || main.code === 'up-to-date-old' ? 'Up to date' : 'Nothing waiting';
  return hop(holds ? 'ok' : 'unknown', `${text}${then}`, `${others}${more}`);
}

function waitingHop(reading: Reading, holds: boolean, more: string): Hop {
  const { facts, format } = reading;
  const oldestAt = facts.waiting?.oldestAt ?? null;
  const oldest = oldestAt === null ? '' : `. Oldest committed ${format.full(oldestAt)}`;
  const bytes = bytesToDownload(facts);
  const size = bytes === null ? '' : `, about ${format.bytes(bytes)} to receive`;
  const { changes, text } = waitingOf(reading);
  const counted = changes === null ? text : format.counted(changes, 'change');
  const transactions = format.counted(facts.waiting?.transactions ?? 0, 'transaction');
  return hop('info', `${counted} waiting${thenOf(reading, holds)}`, `${transactions}${size}${oldest}. ${more}`);
}
