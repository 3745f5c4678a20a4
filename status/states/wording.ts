import { ERRORS, fill } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import type { Progress } from '../facts.ts';
import type { Format } from '../format.ts';
import type { Reading } from '../reading.ts';
import type { Action, ActionId } from '../status.ts';

/** Builds the states' sentences: labels of buttons, joined sentences, and phrases that several states use. */

const LABELS: Record<ActionId, string> = {
  'set-up': 'Set up',
  'first-sync': 'Start first sync',
  'sync-now': 'Sync now',
  check: 'Check now',
  cancel: 'Cancel',
  pause: 'Pause',
  resume: 'Resume',
  retry: 'Try again',
  recopy: 'Download fresh copy',
  verify: 'Verify data',
  'enter-key': 'Enter new key',
  settings: 'Open settings',
  'copy-details': 'Copy details',
  'restart-agent': 'Restart',
};

/**
 * Returns a button. The label is the usual one unless another is given. `count`: number of changes shown beside the
 * label.
 */
export function action(id: ActionId, label: string = LABELS[id], count?: number): Action {
  return { id, label, ...(count === undefined ? {} : { count }) };
}

/** Joins the parts with ` · `. Skips null and empty ones. */
export const dots = (...parts: (string | null)[]): string =>
  parts.filter((part) => part !== null && part !== '').join(' · ');

/**
 * Joins the sentences. Skips null and empty ones. The last sentence has no full stop, like every headline and detail.
 */
export const sentences = (...parts: (string | null)[]): string =>
  parts
    .filter((part) => part !== null && part !== '')
    .map((part) => withoutStop(part ?? ''))
    .join('. ');

const withoutStop = (sentence: string) => sentence.trim().replace(/\.$/, '');

/** Capitalises the first letter, for the start of a sentence. */
export const atStart = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * `The sync server is busy.` becomes `the sync server is busy` for use after a colon. Names in capitals are unchanged.
 */
export const afterColon = (sentence: string): string =>
  withoutStop(sentence).replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase());

/** Returns the first sentence of a text. A full stop inside a name or a number does not end it. */
export const firstSentence = (text: string): string => text.split(/(?<=\.)\s+(?=[A-Z])/)[0] ?? text;

/** Returns the sentences of an error, with params filled in. */
export const meaningOf = (fault: Fault): string => fill(ERRORS[fault.code].means, fault.params);

/**
 * Returns a text such as `12 of 40 rows`. The first number is never larger than the second. Null while the total is
 * unknown.
 */
export function progressOf({ done, total, unit }: Progress, { format }: Reading): string | null {
  if (total === 0) return null;
  return `${format.count(Math.min(done, total))} of ${format.counted(total, unit.slice(0, -1))}`;
}

/** Returns a text such as `orders (2 of 6 tables)`. Null while the table is unknown. */
export function tableOf({ table, tableIndex, tableCount }: Progress, { format }: Reading): string | null {
  if (tableCount === 0) return table;
  if (table === null) return format.counted(tableCount, 'table');
  return `${table} (${format.count(Math.max(1, tableIndex))} of ${format.counted(tableCount, 'table')})`;
}

/** Returns a text such as `about 2 minutes left`. Null while the estimate cannot be trusted. */
export const timeLeft = ({ etaS }: Progress, { format }: Reading): string | null =>
  etaS === null ? null : `${format.left(etaS * 1000)} left`;

/** Returns a text such as `Retrying in 0:25 (attempt 3)`. Null when no retry is due. */
export function retrying({ facts: { retry }, format, now }: Reading): string | null {
  if (retry === null) return null;
  const left = retry.nextAt - now;
  return left > 0
    ? `Retrying in ${format.countdown(left)} (attempt ${retry.attempt})`
    : `Retrying now (attempt ${retry.attempt})`;
}

/** Number of tables that a sentence names. */
const NAMED = 3;

/**
 * Returns a list such as `orders, price, stock and 4 more`. `count`: number of all names, where `names` has only the
 * first ones.
 */
export function listOf(names: readonly string[], format: Format, count = names.length): string {
  const shown = names.slice(0, NAMED);
  const rest = count - shown.length;
  const last = rest > 0 ? `${format.count(rest)} more` : shown.pop();
  return shown.length === 0 ? (last ?? '') : `${shown.join(', ')} and ${last}`;
}

/** Returns `1 change was saved` or `1,240 changes were saved`. */
export const changesSaved = (count: number, { format }: Pick<Reading, 'format'>): string =>
  `${format.counted(count, 'change')} ${count === 1 ? 'was' : 'were'} saved`;
