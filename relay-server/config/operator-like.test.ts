import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { expect, test } from 'vitest';
import { readConfig } from './relay-config.ts';

/** A constant of a filter that looks like an operator is refused with its line. Below `equals` it is accepted. */

const folder = temporaryFolder('operator-like');

/** Returns the values of the condition `v: <yaml>`, or throws config_invalid. */
function valuesOf(yaml: string) {
  const file = path.join(folder, 'relay.yaml');
  writeFileSync(file, `data: ./d\nfeeds:\n  shop:\n    tables:\n      item:\n        where:\n          v: ${yaml}\n`);
  return readConfig(file).feeds.shop?.filters.item?.where;
}

test.each([
  ['"!x"', /"!x" looks like an operator/],
  ['"!=x"', /looks like an operator/],
  ['"<>x"', /looks like an operator/],
  ['">5"', /looks like an operator/],
  ['">= 5"', /looks like an operator/],
  ['<5', /looks like an operator/],
  ['=5', /looks like an operator/],
  ['==5', /looks like an operator/],
  ['" > 5"', /looks like an operator/],
  ['"~ab"', /looks like an operator/],
  ['^ab', /looks like an operator/],
  ['not 7', /looks like an operator/],
  ['NOT IN (7)', /looks like an operator/],
  ['in (7)', /looks like an operator/],
  ['like x', /looks like an operator/],
  ['is not null', /looks like an operator/],
  ['between 1 and 5', /looks like an operator/],
  ['"!$branch"', /looks like an operator/],
  ['/ab/i', /looks like a regular expression/],
  ['a*', /looks like a pattern/],
  ['"*"', /looks like a pattern/],
  ['N%', /looks like a pattern/],
  ['a?', /looks like a pattern/],
  ['1..5', /looks like a range/],
  ['1-5', /looks like a range/],
  ['7,8', /looks like a list.*as \[a, b\]/],
  ['7|8', /looks like a list/],
  ['7;8', /looks like a list/],
  ['"null"', /looks like NULL. For NULL, write null without quotes/],
  ['"NULL"', /looks like NULL/],
  ['[a, "!x"]', /"!x" looks like an operator/],
  ['!x', /!x is a tag in YAML; write a text that begins with ! in quotes/],
  ['! x', /a ! alone is a tag in YAML/],
  ['[7, ! x]', /a ! alone is a tag in YAML/],
  ['>5', /> begins a block of text in YAML/],
  ['>', /> begins a block of text in YAML/],
  ['|', /\| begins a block of text in YAML/],
  ['yes', /yes without quotes is true or false for some readers of YAML/],
  ['No', /No without quotes/],
  ['[on, OFF]', /on without quotes/],
  ['{ equals: >5 }', /line 7/],
  ['{ equals: no }', /no without quotes/],
  ['{ equals: 007 }', /007 would be read as 7; write it in quotes/],
  ['0o17', /0o17 would be read as 15; write it in quotes/],
  ['{ gt: 5 }', /write a value, a list of values, \$attribute, or \{ equals: … \}/],
  ['{ equals: [] }', /./],
])('filter-operator: refuses the constant %s with its line', (yaml, says) => {
  expect(() => valuesOf(yaml)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  expect(() => valuesOf(yaml)).toThrow(says);
  expect(() => valuesOf(yaml)).toThrow(/line 7: /);
  expect(() => valuesOf(yaml)).not.toThrow(/expected|received|Invalid|Too /);
});

test.each<[string, (string | null)[]]>([
  ['{ equals: "!x" }', ['!x']],
  ['{ equals: [">5", "a*", "7,8", "null", null] }', ['>5', 'a*', '7,8', 'null', null]],
  ['{ equals: $branch }', ['$branch']],
  ['{ equals: "yes" }', ['yes']],
  ['"yes"', ['yes']],
  ['$$5', ['$5']],
  ['[IS, in, not-paid, 2026-01, 2026-01-31]', ['IS', 'in', 'not-paid', '2026-01', '2026-01-31']],
  ['[-5, 10.5, "007", NaN, "a b", a&b, null]', ['-5', '10.5', '007', 'NaN', 'a b', 'a&b', null]],
  ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']],
  ['2026-01-31T08:24:35.100000Z', ['2026-01-31T08:24:35.100000Z']],
])('filter-operator: accepts the constant %s', (yaml, values) => {
  expect(valuesOf(yaml)).toMatchObject([{ column: 'v', values }]);
});
