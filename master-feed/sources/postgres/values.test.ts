import { expect, test } from 'vitest';
import { type Form, toJson, unknownForm } from './values.ts';

const json = (form: Form, text: string) => {
  const bytes = Buffer.from(`<${text}>`);
  return toJson(form, bytes, 1, bytes.length - 1);
};

test.each<[Form, string, string]>([
  ['number', '-12.50', '-12.50'],
  ['number', '9223372036854775807', '"9223372036854775807"'],
  ['number', 'NaN', '"NaN"'],
  ['boolean', 't', '1'],
  ['boolean', 'f', '0'],
  ['real', '1e-45', '1e-45'],
  ['real', '-Infinity', '"-Infinity"'],
  ['blob', '\\x', '""'],
  ['blob', '\\x00ff5c', '"AP9c"'],
  ['timestamptz', '2026-11-23 08:24:35.1+00', '"2026-11-23T08:24:35.100000Z"'],
  ['timestamptz', '2026-11-23 08:24:35+00', '"2026-11-23T08:24:35.000000Z"'],
  ['timestamptz', '0044-03-15 12:00:00+00 BC', '"0044-03-15T12:00:00.000000Z BC"'],
  ['timestamptz', '294276-12-31 23:59:59.999999+00', '"294276-12-31T23:59:59.999999Z"'],
  ['timestamptz', '-infinity', '"-infinity"'],
  ['timestamp', '2026-11-23 08:24:35', '"2026-11-23T08:24:35"'],
  ['timestamp', '2026-11-23 08:24:35.123456', '"2026-11-23T08:24:35.123456"'],
  ['timestamp', '0044-03-15 12:00:00 BC', '"0044-03-15T12:00:00 BC"'],
  ['timestamp', 'infinity', '"infinity"'],
  ['date', '5874897-12-31', '"5874897-12-31"'],
  ['date', '0044-03-15 BC', '"0044-03-15 BC"'],
  ['interval', 'P-1Y2M3DT-4H5M-6.5S', '"P-1Y2M3DT-4H5M-6.5S"'],
  ['interval', 'infinity', '"infinity"'],
])('accepts the %s %s', (form, text, expected) => {
  expect(json(form, text)).toBe(expected);
});

test.each<[Form, string]>([
  ['number', '1,5'],
  ['number', ''],
  ['number', '12 €'],
  ['number', '1.'],
  ['number', '.5'],
  ['number', '-'],
  ['number', '1.2.3'],
  ['number', '1-2'],
  ['real', '1e'],
  ['timestamp', '2026-11-23 08:24:35.'],
  ['timestamp', '2026-11-23 08:24:35.1234567'],
  ['timestamp', '2026-11-23 08:24:35+00'],
  ['timestamptz', '2026-11-23 08:24:35.+00'],
  ['timestamptz', '2026-11-23T08:24:35+00'],
  ['boolean', 'true'],
  ['boolean', ''],
  ['real', '1,5'],
  ['blob', '\\000\\377\\\\'],
  ['blob', '\\x0'],
  ['blob', '\\x00zz'],
  ['blob', 'x'],
  ['timestamptz', '2026-11-23 10:24:35+02'],
  ['timestamptz', '2026-11-23 13:54:35+05:30'],
  ['timestamptz', '1890-01-01 00:53:28+00:53:28'],
  ['timestamptz', '2026-11-23 08:24:35'],
  ['timestamptz', '11/23/2026 08:24:35 UTC'],
  ['timestamptz', 'Mon Nov 23 08:24:35 2026 UTC'],
  ['timestamptz', '23.11.2026 10:24:35 CET'],
  ['timestamp', '11/23/2026 08:24:35'],
  ['timestamp', 'Mon Nov 23 08:24:35 2026'],
  ['date', '11-23-2026'],
  ['date', '23.11.2026'],
  ['interval', '@ 1 year 2 mons'],
  ['interval', '1 year 2 mons'],
  ['interval', '1-2'],
  ['interval', '02:00:00'],
])('refuses the %s %s instead of cutting it', (form, text) => {
  expect(json(form, text)).toBeNull();
});

test('names the table and column of a rejected value but not the value', () => {
  const error = unknownForm({
    table: { id: 1, name: 'shop.order', columns: [{ name: 'at', form: 'timestamptz' }] },
    column: 0,
  });
  expect(error.code).toBe('source_unsupported');
  expect(error.message).toContain('a value of the column at of shop.order is not an ISO 8601 timestamp in UTC');
});
