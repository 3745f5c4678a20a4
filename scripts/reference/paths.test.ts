import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from './pages.ts';

/**
 * Checks that every path in a document or comment exists, and that every link leads to an existing file and heading.
 */

const FILES = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' })
  .split('\n')
  .filter((file) => existsSync(path.join(ROOT, file)));
const NAMES = new Set(FILES.map((file) => path.basename(file)));
const FOLDERS = new Set(FILES.flatMap((file) => (file.includes('/') ? [file.split('/')[0] ?? ''] : [])));
const DOCUMENTS = FILES.filter((file) => file.endsWith('.md') && !file.startsWith('bench/peers/'));

const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const withoutBlocks = (text: string) => text.replace(/```[\s\S]*?```/g, '');

/** Returns the anchor of a heading: lower case, hyphens instead of spaces, no other punctuation. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
const anchors = (file: string) => [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));

/** Matches a path in a code span: one below a folder of the repository, or the bare name of a TypeScript module. */
function pathsIn(text: string): string[] {
  const spans = [...withoutBlocks(text).matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  return spans.filter((span) => {
    if (/[\s<>{}*…$:()]/.test(span)) return false;
    return span.includes('/') ? FOLDERS.has(span.split('/')[0] ?? '') : /^[\w-]+(\.[\w-]+)*\.tsx?$/.test(span);
  });
}

/** Files that are built or downloaded, and therefore not under version control. */
const GENERATED = /(^|\/)(out|dist|node_modules|test-results|\.cache)(\/|$)/;

const isThere = (name: string) =>
  GENERATED.test(name) || (name.includes('/') ? existsSync(path.join(ROOT, name)) : NAMES.has(name));

describe.each(DOCUMENTS)('%s', (file) => {
  test('names only files and folders that exist', () => {
    // The change log may name files that no longer exist.
    const named = file === 'CHANGELOG.md' ? [] : pathsIn(read(file));
    expect(named.filter((name) => !isThere(name))).toEqual([]);
  });

  test('links only to files and headings that exist', () => {
    const links = [...withoutBlocks(read(file)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    const broken = links.filter((link) => {
      if (/^https?:/.test(link)) return false;
      const [target = '', anchor] = link.split('#');
      const linked = target === '' ? file : path.posix.join(path.posix.dirname(file), target);
      if (!existsSync(path.join(ROOT, linked))) return true;
      return anchor !== undefined && linked.endsWith('.md') && !anchors(linked).includes(anchor);
    });
    expect(broken).toEqual([]);
  });
});

test('the documents that code refers to exist', () => {
  const sources = FILES.filter(
    (file) => /\.(tsx?|json|ya?ml|css)$/.test(file) && !/^(bench\/peers|scripts\/prose)\//.test(file),
  );
  const broken = sources.flatMap((file) =>
    [...read(file).matchAll(/\b[\w-]+(?:[/.][\w-]+)*\.md\b/g)].flatMap(([name]) =>
      (name.includes('/') ? existsSync(path.join(ROOT, name)) : NAMES.has(name)) ? [] : [`${file}: ${name}`],
    ),
  );
  expect(broken).toEqual([]);
});

test('the list of decisions contains every decision', () => {
  const list = read('docs/decisions/README.md');
  const decisions = FILES.filter((file) => /^docs\/decisions\/\d/.test(file)).map((file) => path.basename(file));
  expect(decisions.filter((name) => !list.includes(`(${name})`))).toEqual([]);
});

test('docs/dependencies.md gives a reason for every library', () => {
  const text = read('docs/dependencies.md');
  const manifests = FILES.filter((file) => /^([\w-]+\/)?package\.json$/.test(file));
  const libraries = manifests.flatMap((file) => {
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read(file)) as Record<string, object>;
    return Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
  });
  const isNamed = (name: string) => text.includes(name) || text.includes(`${name.split('/')[0]}/*`);
  // An `@types` package belongs to its library, and the platform packages of Node.js belong to the package that is
  // named.
  const isOurs = (name: string) => /^(@tidemark\/|@types\/|node-(bin|linux|win)-)/.test(name);
  expect(libraries.filter((name) => !isOurs(name) && !isNamed(name))).toEqual([]);
});
