import { expect, test } from 'vitest';
import { copiedText, isCut, shownText } from './cell-text.ts';

test('names NULL, blobs and the size of cut texts, and shows text on one line', () => {
  expect(shownText(undefined)).toBe('');
  expect(shownText(null)).toBe('NULL');
  expect(shownText({ type: 'blob', hex: '00ff', bytes: 12_400 })).toBe('BLOB 12 kB');
  expect(shownText({ type: 'cut', text: 'a\nb', bytes: 5000 })).toBe('a b… (5 kB)');
  expect(shownText({ type: 'text', text: 'a\n\tb' })).toBe('a b');
  expect(shownText({ type: 'integer', text: '9223372036854775807' })).toBe('9223372036854775807');
});

test('copies values unchanged: line breaks, blobs as hexadecimal digits, nothing for NULL', () => {
  expect(copiedText(null)).toBe('');
  expect(copiedText({ type: 'text', text: 'a\n\tb' })).toBe('a\n\tb');
  expect(copiedText({ type: 'blob', hex: '00ff', bytes: 2 })).toBe('00ff');
});

test('knows which values a page contains only in part', () => {
  expect(isCut(null)).toBe(false);
  expect(isCut({ type: 'text', text: 'x' })).toBe(false);
  expect(isCut({ type: 'cut', text: 'x', bytes: 5000 })).toBe(true);
  expect(isCut({ type: 'blob', hex: '00ff', bytes: 2 })).toBe(false);
  expect(isCut({ type: 'blob', hex: '00ff', bytes: 3 })).toBe(true);
});
