import { expect, test } from 'vitest';
import { z } from 'zod';
import { Time, TimeText } from './time.ts';

test.each([
  ['2026-11-23T08:24:35Z', Date.UTC(2026, 10, 23, 8, 24, 35)],
  ['2026-11-23T08:24:35.120Z', Date.UTC(2026, 10, 23, 8, 24, 35, 120)],
  // The master's microseconds are cut off, not rounded.
  ['2026-11-23T08:24:35.123999Z', Date.UTC(2026, 10, 23, 8, 24, 35, 123)],
  ['0000-01-01T00:00:00.000Z', -62_167_219_200_000],
  ['9999-12-31T23:59:59.999Z', 253_402_300_799_999],
])('%s decodes to milliseconds since 1970', (text, ms) => {
  expect(TimeText.parse(text)).toBe(ms);
});

test.each([0, -1, Date.UTC(2026, 10, 23, 8, 24, 35, 120), -62_167_219_200_000, 253_402_300_799_999])(
  '%d encodes to text that decodes to the same number',
  (ms) => {
    expect(TimeText.parse(TimeText.encode(ms))).toBe(ms);
  },
);

test.each(['2026-11-23T08:24:35+01:00', '2026-11-23', 'yesterday', '', 1795422275000])(
  '%j is not a time in text form',
  (text) => {
    expect(TimeText.safeParse(text).success).toBe(false);
  },
);

test.each([Number.NaN, 8.64e15, -62_167_219_200_001, '2026-11-23T08:24:35Z'])('%j is not a time in memory', (value) => {
  expect(Time.safeParse(value).success).toBe(false);
});

test('times in optional, nullable and array fields decode and encode', () => {
  const Row = z.object({
    at: TimeText,
    until: z.nullable(TimeText),
    seen: z.array(TimeText),
    last: TimeText.optional(),
  });
  const text = { at: '2026-11-23T08:24:35.120Z', until: null, seen: ['2026-11-23T08:24:35.000Z'] };
  expect(z.encode(Row, Row.parse(text))).toEqual(text);
});
