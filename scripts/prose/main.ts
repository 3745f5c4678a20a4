import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { checkFile, type Finding } from './check.ts';

/**
 * `npm run check:prose [-- folder or file…]`: checks the prose of documents, comments, messages and test names.
 *
 * Without arguments it checks every file under version control, prints the findings, and exits with 1 when a folder has
 * more findings than `pending.json` allows. With arguments it checks only those folders and files, and allows no
 * findings. `--counts` prints the number of findings by folder instead.
 */

const ROOT = path.resolve(import.meta.dirname, '../..');

/** The number of findings that a folder may still have. Folders that are not listed may have none. */
const PENDING = JSON.parse(readFileSync(path.join(import.meta.dirname, 'pending.json'), 'utf8')) as Record<
  string,
  number
>;

/**
 * Files that are not checked: pages generated from strings that are checked, code of other projects, and the list of
 * phrases itself.
 */
const SKIPPED = /^(docs\/errors\.md|docs\/reference\/|bench\/peers\/|scripts\/prose\/(?:rules|check\.test)\.ts$)/;

function filesOf(folders: string[]): string[] {
  const list = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '--', ...folders], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return list.split('\n').filter((file) => /\.(ts|tsx|md)$/.test(file) && !SKIPPED.test(file));
}

const folderOf = (file: string) => (file.includes('/') ? (file.split('/')[0] ?? '') : file);

const args = process.argv.slice(2);
const folders = args.filter((arg) => !arg.startsWith('--'));
const findings: Finding[] = [];
const files = filesOf(folders);
for (const file of files) findings.push(...(await checkFile(ROOT, file)));

const counts = new Map<string, number>();
for (const { file } of findings) counts.set(folderOf(file), (counts.get(folderOf(file)) ?? 0) + 1);

if (args.includes('--counts')) {
  for (const [folder, count] of [...counts].sort((a, b) => b[1] - a[1]))
    console.log(`${String(count).padStart(5)} ${folder}`);
} else {
  const pending = folders.length > 0 ? {} : PENDING;
  const isOver = (folder: string) => (counts.get(folder) ?? 0) > (pending[folder] ?? 0);
  const shown = findings.filter(({ file }) => isOver(folderOf(file)));
  for (const { file, line, column, rule, message } of shown)
    console.log(`${file}:${line}:${column} [${rule}] ${message}`);
  const waiting = findings.length - shown.length;
  console.log(
    `${files.length} files, ${shown.length} findings${waiting > 0 ? `, ${waiting} pending in ${Object.keys(pending).join(', ')}` : ''}`,
  );
  process.exitCode = shown.length > 0 ? 1 : 0;
}
