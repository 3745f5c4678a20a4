import { failedRun, RUN } from '@tidemark/protocol/status/testing.ts';
import { expect, test } from 'vitest';
import { runText, sayRun, shortParts } from './run-words.ts';

test('a pull says what it brought, not only that it ended', () => {
  expect(sayRun({ ...RUN, truncated: 1 })).toBe(
    'Received 1,241 changes (812 updated, 400 added, 28 deleted, 1 table emptied) in 1 table',
  );
  expect(shortParts(RUN)).toBe('+400 ~812 −28');
});

test('a check that found changes is not "nothing new"', () => {
  expect(sayRun({ ...RUN, outcome: 'nothing-new', mode: 'check', left: 12, inserted: 0, updated: 0, deleted: 0 })).toBe(
    'Found 12 changes waiting',
  );
});

test('the text for support names the code, the remedy and the request', () => {
  const text = runText(failedRun({ code: 'relay_timeout', params: { relay: 'hq' }, requestId: 'req-1' }));
  expect(text).toContain('Error: relay_timeout');
  expect(text).toContain('Request: req-1');
  expect(text).toContain('What to do: It is tried again by itself.');
});
