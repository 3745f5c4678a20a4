import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './app.ts';

/** Holds the limits on the sizes of files, classes and folders that CONTRIBUTING.md states. */

const FILE_LINES = 400;
const CLASS_LINES = 200;
const FOLDER_FILES = 12;
const FLAT_PACKAGES = ['relay-server', 'terminal', 'replica'];

const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean);
const sources = tracked.filter((file) => /\.(ts|tsx|css)$/.test(file));
const linesOf = (file: string) => readFileSync(path.join(ROOT, file), 'utf8').trimEnd().split('\n');

test('a source file has at most 400 lines, except tests', () => {
  const long = sources.filter((file) => !/\.test\.tsx?$/.test(file) && linesOf(file).length > FILE_LINES);
  expect(long).toEqual([]);
});

test('a class has at most 200 lines', () => {
  // The formatter puts the first line of a class and its closing brace at the same indentation.
  const long = sources.flatMap((file) => {
    const lines = linesOf(file);
    return lines.flatMap((line, from) => {
      const indentation = /^(\s*)(?:export )?(?:abstract )?class \w/.exec(line)?.[1];
      if (indentation === undefined) return [];
      const length = lines.indexOf(`${indentation}}`, from) - from + 1;
      return length > CLASS_LINES ? [`${file}: ${line.trim()} ${length}`] : [];
    });
  });
  expect(long).toEqual([]);
});

test('a folder of relay-server, terminal and replica has at most 12 files', () => {
  const counts = new Map<string, number>();
  for (const file of tracked) counts.set(path.dirname(file), (counts.get(path.dirname(file)) ?? 0) + 1);
  const full = [...counts].filter(
    ([folder, count]) => FLAT_PACKAGES.includes(folder.split('/')[0] ?? '') && count > FOLDER_FILES,
  );
  expect(full).toEqual([]);
});
