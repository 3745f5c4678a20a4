import { expect, test } from 'vitest';
import { isAfter, SourcePosition, sortable } from './position.ts';

const LSN = '0000000016B374D8';

test('F4: positions compare by their sortable digits alone', () => {
  expect(isAfter('0000000016B374D9', LSN)).toBe(true);
  expect(isAfter(LSN, LSN)).toBe(false);
  expect(isAfter(`${LSN}~0-1-9`, LSN)).toBe(false);
  expect(isAfter(`${LSN}~0-1-9`, `${LSN}~0-1-10`)).toBe(false);
  expect(sortable(`${LSN}~0-1-9`)).toBe(LSN);
});

test.each([LSN, `${LSN}~0-1-100`, `${LSN}~3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5,b:7`])(
  '%s is a position',
  (text) => {
    expect(SourcePosition.parse(text)).toBe(text);
  },
);

test.each(['', '16/B374D8', LSN.toLowerCase(), `${LSN}~`, `${LSN}~"`, `${LSN}~a b`])('%j is not a position', (text) => {
  expect(SourcePosition.safeParse(text).success).toBe(false);
});
