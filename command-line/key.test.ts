import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readKey } from './key.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-key-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const fileWith = (text: string) => {
  const file = path.join(folder, 'key');
  writeFileSync(file, text);
  return file;
};

test('reads the named file without its final line break, and ignores the environment', () => {
  const mistakes: string[] = [];
  expect(readKey(fileWith('abc\n'), { TIDEMARK_TOKEN: 'other' }, mistakes)).toBe('abc');
  expect(readKey(undefined, { TIDEMARK_TOKEN: ' abc ' }, mistakes)).toBe('abc');
  expect(mistakes).toEqual([]);
});

test.each([
  ['nothing', () => readKeyMistakes(undefined, {}), '--token-file (or TIDEMARK_TOKEN) is missing'],
  ['an empty variable', () => readKeyMistakes(undefined, { TIDEMARK_TOKEN: ' ' }), 'is missing'],
  ['an empty file', () => readKeyMistakes(fileWith('\n'), {}), 'is empty'],
  ['a file that does not exist', () => readKeyMistakes(path.join(folder, 'none'), {}), 'cannot be read (ENOENT)'],
  ['a folder', () => readKeyMistakes(folder, {}), 'cannot be read (EISDIR)'],
])('reports %s as a mistake', (_, mistakesOf, words) => {
  expect(mistakesOf()).toEqual([expect.stringContaining(words)]);
});

function readKeyMistakes(file: string | undefined, environment: NodeJS.ProcessEnv): string[] {
  const mistakes: string[] = [];
  expect(readKey(file, environment, mistakes)).toBe('');
  return mistakes;
}
