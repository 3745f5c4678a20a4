import { expect, test } from 'vitest';
import { quoted, visible } from './visible.ts';

test.each([
  ['Zürich, 北京 7', 'Zürich, 北京 7'],
  ['\u001b[2J\n', '\\u001b[2J\\u000a'],
  ['\u009b31m', '\\u009b31m'],
  ['7\u202e8\u200b', '7\\u202e8\\u200b'],
  ['a\u00a0b\u2028', 'a\\u00a0b\\u2028'],
  ['\u{e0041}', '\\udb40\\udc41'],
  ['\ud800', '\\ud800'],
])('shows %j', (text, shown) => {
  expect(visible(text)).toBe(shown);
});

test('keeps the meaning of JSON', () => {
  const value = { name: '\u001b \u202e\u{e0041}\ud800', next: '"\\' };
  const text = visible(JSON.stringify(value));
  expect(text).toMatch(/^[ -~]+$/);
  expect(JSON.parse(text)).toEqual(value);
});

test('quotes at most 60 characters', () => {
  expect(quoted('\u{1f600}'.repeat(60))).toBe(`"${'\u{1f600}'.repeat(60)}"`);
  expect(quoted('\u{1f600}'.repeat(61))).toBe(`"${'\u{1f600}'.repeat(60)}…"`);
});
