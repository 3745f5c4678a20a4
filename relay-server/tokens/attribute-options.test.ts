import { expect, test } from 'vitest';
import { attributesOf, checkCombinations, checkName } from './attribute-options.ts';

/** Names and attributes that token commands accept. A refusal names the option, the value and the remedy. */

const set = (value: string) => attributesOf([`branch=${value}`], []).branch;
const setText = (value: string) => attributesOf([], [`branch=${value}`]).branch;

test.each([
  ['!7', /"!7" looks like an operator. Filters compare for equality only/],
  ['!=7', /looks like an operator/],
  ['<>7', /looks like an operator/],
  ['>5', /looks like an operator/],
  ['=5', /looks like an operator/],
  ['=7', /looks like an operator/],
  ['7,!8', /"!8" looks like an operator/],
  ['not 7', /looks like an operator/],
  ['like N', /looks like an operator/],
  ['between 1 and 5', /looks like an operator/],
  ['/ab/', /looks like a regular expression/],
  ['a*', /looks like a pattern/],
  ['*', /looks like a pattern/],
  ['%', /looks like a pattern/],
  ['%BRANCH%', /looks like a pattern/],
  ['1-5', /looks like a range. List each value, as 7,8/],
  ['1..5', /looks like a range/],
  ['7;8', /looks like a list. Write a list as 7,8/],
  ['7|8', /looks like a list/],
  ['null', /looks like NULL. An attribute never selects NULL/],
  ['$BRANCH', /looks like a variable that was not replaced/],
  ['\u0024{BRANCH}', /looks like a variable that was not replaced/],
  ['{{ branch }}', /looks like a variable that was not replaced/],
  ["'7'", /is in quotes, which would be a part of the value/],
  ['"7"', /is in quotes/],
  ['\uff17', /"\uff17" looks like "7", but contains other characters/],
  ['Zu\u0308rich', /looks like "Zürich", but contains other characters/],
  ['\u0667', /contains digits other than 0 to 9/],
  ['7\u20138', /contains a dash other than -/],
  ['\u22127', /contains a dash other than -/],
  ['n\u043erth', /mixes Latin letters with Cyrillic or Greek ones/],
])('filter-operator: refuses the attribute value %j, which --set-text accepts', (value, says) => {
  expect(() => set(value)).toThrow(expect.objectContaining({ code: 'usage' }));
  expect(() => set(value)).toThrow(says);
  expect(() => set(value)).toThrow('--set branch: ');
  expect(() => set(value)).toThrow('For this text itself, use --set-text branch=…');
  if (!value.includes(',')) expect(setText(value)).toBe(value);
});

test.each([
  ['7', '7'],
  ['7,8', '7,8'],
  [' 7, 8 ,', '7,8'],
  ['north-east', 'north-east'],
  ['no&rth', 'no&rth'],
  ['Zürich', 'Zürich'],
  ['北京', '北京'],
  ['Москва', 'Москва'],
  ['-5,10.5,007', '-5,10.5,007'],
  ['2026-01,2026-01-31', '2026-01,2026-01-31'],
  ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ["O'Neill", "O'Neill"],
  ['x'.repeat(200), 'x'.repeat(200)],
])('accepts the attribute value %j', (value, stored) => {
  expect(set(value)).toBe(stored);
});

test.each([
  ['7\u001b[2J', /"7\\u001b\[2J" contains the character U\+001B, which is not visible/],
  ['7\n8', /contains the character U\+000A/],
  ['7\r', /contains the character U\+000D/],
  ['7\u0000', /contains the character U\+0000/],
  ['7\u009b31m', /"7\\u009b31m" contains the character U\+009B/],
  ['x\ufffd', /contains the character U\+FFFD/],
  ['x'.repeat(201), /"x{60}…" has more than 200 characters/],
])('refuses the attribute value %j in both forms', (value, says) => {
  for (const write of [set, setText]) {
    expect(() => write(value)).toThrow(expect.objectContaining({ code: 'usage' }));
    expect(() => write(value)).toThrow(says);
  }
});

test.each([
  ['\u202e7', /"\\u202e7" contains the character U\+202E, which is not visible/],
  ['7\u200b', /contains the character U\+200B/],
  ['7\u00a0', /contains the character U\+00A0/],
  ['a\u3000b', /contains the character U\+3000/],
  ['\ufeff7', /contains the character U\+FEFF/],
])('refuses the invisible character in the attribute value %j', (value, says) => {
  expect(() => set(value)).toThrow(says);
});

test.each([
  [' 7', /begins or ends with a blank/],
  ['7 ', /begins or ends with a blank/],
  ['7,8', /contains a comma, which separates the values/],
  ['', /is empty/],
])('--set-text refuses %j, which the token file cannot hold as one value', (value, says) => {
  expect(() => setText(value)).toThrow(says);
  expect(() => setText(value)).toThrow('--set-text branch: ');
});

test('--set refuses an attribute without a value, and a pair that is not name=value', () => {
  for (const nothing of ['', ' ', ',', ' , '])
    expect(() => set(nothing)).toThrow('there is no value. To remove the attribute, use token set --unset branch');
  for (const pair of ['branch', '=7', '7=branch', 'a b=7', '__proto__=7', '\u001b[2J'])
    expect(() => attributesOf([pair], [])).toThrow(/--set: ".*" is not written as name=value/);
  expect(attributesOf([`${'b'.repeat(63)}=7`], [])).toEqual({ ['b'.repeat(63)]: '7' });
  expect(() => attributesOf([`${'b'.repeat(64)}=7`], [])).toThrow('has more than 63 characters');
});

test('joins repeated options to the values of one attribute, at most 2,000', () => {
  expect(attributesOf(['branch=7', 'branch=8,9', 'region=north'], ['branch=!x'])).toEqual({
    branch: '7,8,9,!x',
    region: 'north',
  });
  const numbers = (count: number) => Array.from({ length: count }, (_, at) => at).join(',');
  expect(set(numbers(2_000))?.split(',')).toHaveLength(2_000);
  expect(() => set(numbers(2_001))).toThrow('2001 values; an attribute has at most 2000');
});

test('refuses attributes with more than 10,000 combinations for one table', () => {
  const where = ['branch', 'region'].map((column) => ({ column, attribute: column, at: 'relay.yaml' }));
  const filters = { price: { where, columns: null, indexes: [] } };
  const attributes = (branches: number) => ({
    branch: Array.from({ length: branches }, (_, at) => at).join(','),
    region: Array.from({ length: 100 }, (_, at) => `r${at}`).join(','),
  });
  expect(() => checkCombinations(filters, attributes(100))).not.toThrow();
  expect(() => checkCombinations(filters, attributes(101))).toThrow(
    '--set: the values of branch and region have 10100 combinations for the table price; the limit is 10000',
  );
});

test.each([
  ['', /--name: "" is empty/],
  [' pc', /begins or ends with a blank/],
  ['pc ', /begins or ends with a blank/],
  ['pc\u001b[31m', /--name: "pc\\u001b\[31m" contains the character U\+001B/],
  ['pc\n', /U\+000A/],
  ['pc\u202e', /U\+202E/],
  ['p\u0441-7', /mixes Latin letters with Cyrillic/],
  ['n'.repeat(101), /has more than 100 characters/],
])('refuses the name %j', (name, says) => {
  expect(() => checkName(name)).toThrow(expect.objectContaining({ code: 'usage' }));
  expect(() => checkName(name)).toThrow(says);
});

test.each(['branch-7', 'Filiale Zürich 1', '北京', "O'Neill's PC", 'n'.repeat(100)])('accepts the name %j', (name) => {
  expect(() => checkName(name)).not.toThrow();
});
