import { expect, test } from 'vitest';
import { refuseOthers } from './session-settings.ts';

test('rejects a connection that did not keep a setting, and names every such setting', () => {
  const found = [
    { name: 'TimeZone', setting: 'Europe/Berlin' },
    { name: 'bytea_output', setting: 'escape' },
    { name: 'DateStyle', setting: 'ISO, MDY' },
  ];
  expect(() => refuseOthers(found)).toThrow(
    expect.objectContaining({
      code: 'source_not_ready',
      message: expect.stringMatching(
        /TimeZone .* is Europe\/Berlin and must be UTC[\s\S]*bytea_output .* is escape and must be hex/,
      ),
    }),
  );
  expect(() => refuseOthers(found)).not.toThrow(/DateStyle/);
});

test('accepts a connection that kept its settings', () => {
  expect(() => refuseOthers([{ name: 'IntervalStyle', setting: 'iso_8601' }])).not.toThrow();
});
