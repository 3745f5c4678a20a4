import { INVISIBLE, quoted } from '@tidemark/command-line/visible';
import { TidemarkError } from '@tidemark/protocol/errors';
import { type Resemblance, resemblanceOf } from '../config/operator-like.ts';
import { type Attributes, attributeConditions, type Filters, valuesOf } from '../routing/filters.ts';

/**
 * Parses the options of token commands that name a holder and its attributes. It refuses values that no filter would
 * find, and characters that a person cannot see: operators, lists in another notation, characters that look like others,
 * control characters and blanks. `--set` takes only values of which the meaning is clear; `--set-text` takes one text
 * verbatim.
 *
 * Nothing here knows the filters of the feed. token-commands.ts compares the attributes with them.
 */

/** Longest name of a holder, in characters. */
const LONGEST_NAME = 100;
/** Longest name of an attribute, in characters. */
const LONGEST_ATTRIBUTE = 63;
/** Longest value of an attribute, in characters. */
const LONGEST_VALUE = 200;
/** Largest number of values of an attribute. */
const MOST_VALUES = 2_000;
/** Largest number of combinations of a terminal's values for one table. The relay keeps one scope for each. */
const MOST_COMBINATIONS = 10_000;

const usage = (detail: string) => new TidemarkError('usage', { detail });
const lengthOf = (text: string) => [...text].length;

/** Checks the name of a new holder. Throws usage. */
export function checkName(name: string): void {
  const mistake =
    name === '' ? 'is empty' : (lengthMistake(name, LONGEST_NAME) ?? unreadable(name) ?? mixedScripts(name));
  if (mistake !== null) throw usage(`--name: ${quoted(name)} ${mistake}`);
}

/**
 * Parses the attributes of `--set` and `--set-text`. `--set branch=7 --set branch=8` together become `branch=7,8`. Throws
 * usage, with the option and the remedy.
 */
export function attributesOf(set: readonly string[], setText: readonly string[]): Record<string, string> {
  const attributes = new Map<string, string[]>();
  const add = (option: string, pair: string, valuesOf: (text: string, at: string) => string[]) => {
    const [, key, text] = /^([A-Za-z_]\w*)=(.*)$/s.exec(pair) ?? [];
    if (key === undefined || text === undefined || key === '__proto__')
      throw usage(`${option}: ${quoted(pair)} is not written as name=value`);
    if (key.length > LONGEST_ATTRIBUTE)
      throw usage(`${option}: the name ${quoted(key)} has more than ${LONGEST_ATTRIBUTE} characters`);
    const values = [...(attributes.get(key) ?? []), ...valuesOf(text, `${option} ${key}`)];
    if (values.length > MOST_VALUES)
      throw usage(`${option} ${key}: ${values.length} values; an attribute has at most ${MOST_VALUES}`);
    attributes.set(key, values);
  };
  for (const pair of set) add('--set', pair, listedValues);
  for (const pair of setText) add('--set-text', pair, verbatimValue);
  return Object.fromEntries([...attributes].map(([key, values]) => [key, values.join(',')]));
}

/** Parses `7,8`. Blanks around a value are dropped. */
function listedValues(text: string, at: string): string[] {
  const values = text
    .split(',')
    .map((value) => value.replace(/^ +| +$/g, ''))
    .filter((value) => value !== '');
  const [option, key] = at.split(' ');
  if (values.length === 0)
    throw usage(`${at}: there is no value. To remove the attribute, use token set --unset ${key}`);
  for (const value of values) {
    const mistake = lengthMistake(value, LONGEST_VALUE) ?? unreadable(value);
    if (mistake !== null) throw usage(`${at}: ${quoted(value)} ${mistake}`);
    const doubt = otherMeaning(value) ?? lookAlike(value);
    if (doubt !== null)
      throw usage(`${at}: ${quoted(value)} ${doubt}. For this text itself, use ${option}-text ${key}=…`);
  }
  return values;
}

/** Returns the one value of `--set-text`. The token file separates values by commas, so none can contain a comma. */
function verbatimValue(text: string, at: string): string[] {
  const mistake =
    text === ''
      ? 'is empty'
      : text.includes(',')
        ? 'contains a comma, which separates the values of an attribute'
        : (lengthMistake(text, LONGEST_VALUE) ??
          (/\p{Cc}|\p{Cs}|\ufffd/u.test(text) ? unreadable(text) : blankAtEnd(text)));
  if (mistake !== null) throw usage(`${at}: ${quoted(text)} ${mistake}`);
  return [text];
}

/** Checks the size of the entitlement that the filters give to a terminal. Throws usage. */
export function checkCombinations(filters: Filters, attributes: Attributes): void {
  for (const [table, filter] of Object.entries(filters)) {
    const names = attributeConditions(filter).map(({ attribute }) => attribute);
    const combinations = names.reduce((product, name) => product * valuesOf(attributes, name).length, 1);
    if (combinations > MOST_COMBINATIONS)
      throw usage(
        `--set: the values of ${names.join(' and ')} have ${combinations} combinations for the table ${table}; the limit is ${MOST_COMBINATIONS}`,
      );
  }
}

const lengthMistake = (text: string, most: number) =>
  lengthOf(text) > most ? `has more than ${most} characters` : null;

const blankAtEnd = (text: string) => (text.trim() === text ? null : 'begins or ends with a blank');

/** Returns the reason why a person cannot read a text, or null. */
function unreadable(text: string): string | null {
  const [found] = INVISIBLE.exec(text) ?? (text.includes('\ufffd') ? ['\ufffd'] : []);
  if (found !== undefined)
    return `contains the character U+${(found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}, which is not visible`;
  return blankAtEnd(text);
}

const REMEDIES: Record<Resemblance, string> = {
  NULL: 'An attribute never selects NULL. Write null in relay.yaml for rows that every terminal receives',
  'an operator': 'Filters compare for equality only',
  'a regular expression': 'Filters compare for equality only',
  'a pattern': 'Filters compare for equality only',
  'a range': 'List each value, as 7,8',
  'a list': 'Write a list as 7,8',
};

/** Returns why a value would usually mean something else than its text, or null. */
function otherMeaning(value: string): string | null {
  const name = resemblanceOf(value);
  if (name !== null) return `looks like ${name}. ${REMEDIES[name]}`;
  if (/^(["'`]).*\1$/.test(value)) return 'is in quotes, which would be a part of the value. Leave them out';
  if (/^\$|\$\{|\{\{/.test(value)) return 'looks like a variable that was not replaced by its value';
  return null;
}

/** Returns why a text can be mistaken for another one, or null. */
function lookAlike(text: string): string | null {
  const plain = text.normalize('NFKC');
  if (plain !== text) return `looks like ${quoted(plain)}, but contains other characters`;
  if (/[^\P{Nd}0-9]/u.test(text)) return 'contains digits other than 0 to 9';
  if (/[^\P{Pd}-]|\u2212/u.test(text)) return 'contains a dash other than -';
  return mixedScripts(text);
}

const mixedScripts = (text: string) =>
  /\p{Script=Latin}/u.test(text) && /[\p{Script=Cyrillic}\p{Script=Greek}]/u.test(text)
    ? 'mixes Latin letters with Cyrillic or Greek ones, which look the same'
    : null;
