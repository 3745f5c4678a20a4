import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  ALLOWED,
  type ImportRule,
  OPEN_DATABASES,
  PACKAGES,
  UNCHECKED,
  UNRESTRICTED,
  WRAPPED,
} from './allowed-imports.ts';

/**
 * Returns the table of allowed imports as overrides of biome.json. Each override has one `noRestrictedImports` rule.
 */

export const BIOME_FILE = path.resolve(import.meta.dirname, '../../biome.json');

interface Pattern {
  group: string[];
  message: string;
}
type RestrictedPath = { importNames?: string[]; message: string };

interface Override {
  includes: string[];
  linter: { rules: { style: { noRestrictedImports: unknown } } };
}

export function biomeOverrides(): Override[] {
  const packages = Object.entries(ALLOWED).flatMap(([name, rule]) => [
    override([`${name}/**`], patterns(name, rule, false), paths(name, rule, false)),
    override(
      [`${name}/**/*.test.ts`, `${name}/**/*.test.tsx`, ...(rule.testFiles ?? [])],
      patterns(name, rule, true),
      paths(name, rule, true),
    ),
  ]);
  const folders = UNRESTRICTED.map((name) =>
    override([`${name}/**`], patterns(name, null, false), paths(name, null, false)),
  );
  return [...packages, ...folders, ...wrappers(), ...unchecked()];
}

/** Returns the text of biome.json with these overrides. */
export function biomeConfig(): string {
  const config = JSON.parse(readFileSync(BIOME_FILE, 'utf8')) as Record<string, unknown>;
  return `${JSON.stringify({ ...config, overrides: biomeOverrides() }, null, 2)}\n`;
}

function override(includes: string[], found: Pattern[], restricted: Record<string, RestrictedPath>): Override {
  const options = { patterns: found, paths: restricted };
  return { includes, linter: { rules: { style: { noRestrictedImports: { level: 'error', options } } } } };
}

function patterns(name: string, rule: ImportRule | null, tests: boolean): Pattern[] {
  const found: Pattern[] = [];
  if (rule) {
    const allowed = [...rule.imports, ...(tests ? ['testing'] : [])];
    const modules = rule.modules ?? [];
    const named = [...allowed, ...modules].join(', ') || 'no other package';
    found.push({
      group: [
        '@tidemark/**',
        ...allowed.map((each) => `!@tidemark/${each}/**`),
        ...modules.map((module) => `!${module}`),
      ],
      message: `${name}/ may import ${named}: see docs/architecture.md.`,
    });
  }
  const others = PACKAGES.filter((each) => each !== name);
  found.push({
    group: others.map((other) => `**/../${other}/**`),
    message: 'Import another package by its name, through its exports.',
  });
  if (rule?.browser && !tests)
    found.push({
      group: ['node:*', 'node:*/**'],
      message: `${name}/ also runs in a browser window, so it must not import Node's modules.`,
    });
  return found;
}

function paths(name: string, rule: ImportRule | null, tests: boolean): Record<string, RestrictedPath> {
  const databases = OPEN_DATABASES.includes(name) || tests;
  return {
    electron: name === 'electron' ? wrapped(Object.keys(WRAPPED)) : { message: 'Only electron/ may import Electron.' },
    ...(databases ? {} : { 'better-sqlite3': { message: 'Only table-store/ opens databases.' } }),
    ...Object.fromEntries(
      Object.entries((!tests && rule?.forbidden) || {}).map(([module, message]) => [module, { message }]),
    ),
  };
}

const wrapped = (importNames: string[]): RestrictedPath => ({
  importNames,
  message: `${Object.keys(WRAPPED).join(', ')} have one wrapper each, in electron/ipc/.`,
});

/** The wrapper of an Electron module may import that module. */
function wrappers(): Override[] {
  const rule = ALLOWED.electron ?? { imports: [] };
  return Object.entries(WRAPPED).map(([module, file]) => {
    const others = Object.keys(WRAPPED).filter((each) => each !== module);
    return override([file], patterns('electron', rule, false), {
      ...paths('electron', rule, false),
      electron: wrapped(others),
    });
  });
}

function unchecked(): Override[] {
  return [{ includes: [...UNCHECKED], linter: { rules: { style: { noRestrictedImports: 'off' } } } }];
}
