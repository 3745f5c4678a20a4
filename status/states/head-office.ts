import { type FeedFaultCode, SET_ASIDE_REASONS } from '@tidemark/protocol/trouble';
import { makeState, type Reading, type State } from '../reading.ts';
import { isCurrent } from './freshness.ts';
import { action, atStart, listOf, sentences } from './wording.ts';

/**
 * States that head office must end: a fault of the feed, and tables that are set aside. Their words name no detail,
 * because details stay at head office.
 */

const TELL = 'Tell head office';
const actions = { primary: action('check', 'Check again'), secondary: [action('copy-details')] };

/** The cause of each fault, for a person at a branch. `relay`: the relay's name. */
const CAUSES: Record<FeedFaultCode, (relay: string) => string> = {
  source_unreachable: () => "Head office's database cannot be reached",
  source_denied: () => "Head office's database refuses the sign-in",
  source_not_ready: () => "Head office's database is not ready to send changes",
  source_lost: () => "The connection to head office's database keeps breaking",
  source_unsupported: () => "Head office's database holds a value of an unknown form",
  slot_in_use: () => "Another program receives the changes of head office's database instead",
  config_invalid: () => 'The settings of the program that sends the changes are invalid',
  relay_unreachable: (relay) => `Head office cannot reach ${relay}`,
  relay_timeout: (relay) => `${relay} does not answer head office in time`,
  relay_not_tidemark: (relay) => `Something else answers head office instead of ${relay}`,
  relay_failed: (relay) => `${relay} fails to store the changes`,
  relay_busy: (relay) => `${relay} is too busy to store the changes`,
  batch_invalid: (relay) => `${relay} refuses the changes`,
  batch_corrupt: (relay) => `The changes arrive damaged at ${relay}`,
  batch_out_of_order: (relay) => `${relay} refuses the changes`,
  session_unknown: (relay) => `The connection between head office and ${relay} keeps breaking`,
  filter_invalid: (relay) => `The data selection on ${relay} does not match the tables at head office`,
  disk_full: (relay) => `${relay} has too little disk space`,
  internal: () => 'The program that sends the changes has failed',
};

/** The feed reports a fault, so no change of head office arrives at the relay. */
export function feedFault({ facts, format, now, names, isOld, atHead, answeredAt }: Reading): State | null {
  const fault = facts.probe?.status.feed.fault;
  if (fault === undefined || (isOld && !atHead)) return null;
  const { code, since } = fault;
  const moment = format.moment(since, now);
  return makeState(
    'feed-fault',
    'warn',
    {
      headline: `No changes have arrived from head office since ${moment}`,
      detail: sentences(
        isOld && answeredAt !== null ? `Last checked ${format.at(answeredAt, now)}` : null,
        atStart(CAUSES[code](names.relay)),
        'Newer data may exist there. It arrives when the fault is gone',
        'Local data is safe',
        TELL,
      ),
      short: `No changes from head office since ${moment}`,
    },
    actions,
    since,
  );
}

/** Tables are set aside: here, or at head office. */
export function tablesSetAside(reading: Reading): State | null {
  const { count } = reading.facts.replica.setAside;
  return count > 0 ? setAsideHere(reading, count) : reading.troubledElsewhere > 0 ? setAsideElsewhere(reading) : null;
}

function setAsideHere(reading: Reading, count: number): State {
  const { facts, format, now, troubledElsewhere } = reading;
  const { tables } = facts.replica.setAside;
  const oldest = tables[0];
  const one = count === 1 && oldest !== undefined;
  const names = listOf(
    tables.map(({ name }) => name),
    format,
    count,
  );
  const when = oldest === undefined ? 'an unknown time' : format.moment(oldest.asOf, now);
  return makeState(
    'set-aside',
    'warn',
    {
      headline: one ? `Table ${oldest.name} is set aside` : `${format.counted(count, 'table')} are set aside`,
      detail: sentences(
        one ? `Its rows are as of ${when}` : `The rows of ${names} are as of ${when} or later`,
        one ? SET_ASIDE_REASONS[oldest.reason] : null,
        othersOf(reading),
        troubledElsewhere === 0 ? null : moreElsewhere(troubledElsewhere, reading),
        TELL,
      ),
      short: `${format.counted(count, 'table')} set aside`,
    },
    actions,
    oldest?.asOf ?? null,
  );
}

function setAsideElsewhere(reading: Reading): State {
  const { troubledElsewhere, format } = reading;
  const tables = format.counted(troubledElsewhere, 'table');
  return makeState(
    'set-aside',
    'warn',
    {
      headline: `Head office does not send ${tables}`,
      detail: sentences(
        `${troubledElsewhere === 1 ? 'It does' : 'They do'} not follow head office's database`,
        othersOf(reading),
        TELL,
      ),
      short: `${tables} not sent`,
    },
    actions,
  );
}

/** States that the other tables are, or were, current. Null when the last answer does not show it. */
function othersOf(reading: Reading): string | null {
  const { format, now, isOld, answeredAt, answerAge } = reading;
  if (!isCurrent(reading) || answeredAt === null || !Number.isFinite(answerAge)) return null;
  return isOld ? `All other tables were current ${format.at(answeredAt, now)}` : 'All other tables are current';
}

const moreElsewhere = (count: number, { format }: Reading): string =>
  `Head office does not send ${format.counted(count, 'more table', 'more tables')}`;
