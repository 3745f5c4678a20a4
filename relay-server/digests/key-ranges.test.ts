import { expect, test } from 'vitest';
import { checkRanges } from './key-ranges.ts';

const T = 'a'.repeat(16);
const asking = (after: unknown) => ({ asks: [{ table: T, range: { after, upto: null }, parts: 16 }] });
const refusal = (body: unknown) => {
  try {
    checkRanges(body);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
};

test('a key of 200,000 invalid values is refused by its length alone', () => {
  const key = Array.from({ length: 200_000 }, () => ({}));
  Object.defineProperty(key, 0, { get: () => expect.unreachable('reads a value') });
  expect(refusal(asking(key))).toContain('asks.0.range.after: has 200000 values, more than 2000');
});

test('invalid values that many ranges share are refused at the first one', () => {
  const [ask] = asking(Array.from({ length: 1300 }, () => ({}))).asks;
  expect(refusal({ asks: Array.from({ length: 256 }, () => ask) })).toContain(
    'asks.0.range.after.0: is not a key value',
  );
});

test('too many ranges are refused by their number', () => {
  expect(refusal({ asks: Array.from({ length: 257 }, () => 0) })).toContain('asks: has 257 ranges, more than 256');
});

test('leaves a body that has another form to the schema', () => {
  for (const body of [null, 1, [], {}, { asks: 1 }, { asks: [null] }, asking(null), asking([])])
    expect(refusal(body)).toBeNull();
});
