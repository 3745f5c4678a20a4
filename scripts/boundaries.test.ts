import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './app.ts';

/** What each folder may import of ours: imports point down, and processes never import each other. */
const MAY: Record<string, string[]> = {
  protocol: [],
  replica: ['protocol'],
  'master-feed': ['protocol'],
  'relay-server': ['protocol', 'replica'],
  electron: ['protocol', 'replica'],
  renderer: ['protocol', 'electron'],
};
/** Folders by the names of their packages. */
const FOLDERS: Record<string, string> = { terminal: 'electron' };

/** What stands in one wrapper each, and nowhere else. */
const WRAPPED: [string, RegExp][] = [
  ['electron/ipc/window-ipc.ts', /\bipcMain\b|webContents\.send\(/],
  ['electron/ipc/preload-ipc.ts', /\bipcRenderer\b/],
  ['electron/ipc/open-external.ts', /\bshell\.openExternal\(/],
];

function files(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const file = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return /node_modules|^out$|^dist$/.test(entry.name) ? [] : files(file);
    return /\.tsx?$/.test(entry.name) ? [file] : [];
  });
}

const imports = (file: string) =>
  [...readFileSync(path.join(ROOT, file), 'utf8').matchAll(/(import type|from|import\()[^'\n]*'([^']+)'/g)].map(
    (match) => match[2] ?? '',
  );

test.each(Object.entries(MAY))('%s imports nothing but %j', (folder, may) => {
  const wrong: string[] = [];
  for (const file of files(folder)) {
    for (const name of imports(file)) {
      const [, scoped] = /^@tidemark\/([^/]+)/.exec(name) ?? [];
      const relative = name.startsWith('.') ? path.posix.join(path.posix.dirname(file), name).split('/')[0] : undefined;
      const target = scoped === undefined ? relative : (FOLDERS[scoped] ?? scoped);
      if (target !== undefined && target !== folder && !may.includes(target)) wrong.push(`${file}: ${name}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('the window imports of the app only its contract', () => {
  const wrong = files('renderer').flatMap((file) =>
    imports(file)
      .filter((name) => name.startsWith('@tidemark/terminal/') && !name.startsWith('@tidemark/terminal/contract/'))
      .map((name) => `${file}: ${name}`),
  );
  expect(wrong).toEqual([]);
});

test('protocol needs nothing that a browser lacks; the sync agent knows nothing of Electron', () => {
  const found = (folder: string, bad: RegExp) =>
    files(folder)
      .filter((file) => !file.endsWith('.test.ts'))
      .flatMap((file) =>
        imports(file)
          .filter((name) => bad.test(name))
          .map((name) => `${file}: ${name}`),
      );
  expect(found('protocol', /^node:|^electron$|better-sqlite3/)).toEqual([]);
  expect(found('electron/terminal', /^electron$|\/main\/|\/ipc\//)).toEqual([]);
});

test.each(WRAPPED)('%s is the only place for %s', (wrapper, raw) => {
  const wrong = files('electron')
    .filter((file) => file !== wrapper && raw.test(readFileSync(path.join(ROOT, file), 'utf8')))
    .filter((file) => !file.endsWith('.test.ts'));
  expect(wrong).toEqual([]);
  expect(readFileSync(path.join(ROOT, wrapper), 'utf8')).toMatch(raw);
});
