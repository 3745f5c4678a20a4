import { expect, test } from 'vitest';
import { formatStart, PageStart, parseStart } from './cursor.ts';

test('parses the text of a page start', () => {
  for (const start of [
    { seq: 0, part: 0 },
    { seq: 17, part: 0 },
    { seq: 17, part: 3 },
    { seq: Number.MAX_SAFE_INTEGER, part: 1 },
  ]) {
    expect(parseStart(formatStart(PageStart.parse(start)))).toEqual(start);
  }
});

test.each(['', '-1', '1.0', '01', '1.', '.1', '1e3', '9007199254740993', '1.2.3', ' 1'])(
  '%j is not a page start',
  (text) => {
    expect(parseStart(text)).toBeNull();
  },
);
