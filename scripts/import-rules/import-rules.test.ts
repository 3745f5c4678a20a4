import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from '../app.ts';
import { ALLOWED, OPEN_DATABASES, PACKAGES, UNRESTRICTED, WRAPPED } from './allowed-imports.ts';
import { BIOME_FILE, biomeOverrides } from './biome-overrides.ts';

/**
 * Checks that the linter refuses exactly the imports that the table forbids, in every form an import can have. All
 * probes are files in one copy of the folders, so that Biome runs only once.
 */

/** Each form of an import of one module. ES modules have no `require`, and oxlint bans `import('…').Type`. */
const FORMS: Record<string, (module: string) => string> = {
  value: (module) => `import { a } from '${module}';`,
  type: (module) => `import type { B } from '${module}';`,
  'inline type': (module) => `import { type C } from '${module}';`,
  namespace: (module) => `import * as d from '${module}';`,
  'side effect': (module) => `import '${module}';`,
  're-export': (module) => `export { e } from '${module}';`,
  're-export of all': (module) => `export * from '${module}';`,
  're-export of a type': (module) => `export type { F } from '${module}';`,
  dynamic: (module) => `await import('${module}');`,
};

interface Probe {
  file: string;
  module: string;
  allowed: boolean;
}

const FOLDERS = [...Object.keys(ALLOWED), ...UNRESTRICTED];
const probes: Probe[] = [];
let folder: string;
/** The lines that the linter refused, by file. */
let refused: Map<string, Set<number>>;

function probe(file: string, module: string, allowed: boolean): void {
  probes.push({ file, module, allowed });
}

function addProbes(name: string): void {
  const rule = ALLOWED[name];
  for (const other of PACKAGES.filter((each) => each !== name)) {
    const allowed = !rule || rule.imports.includes(other);
    probe(`${name}/nested/imports-${other}.ts`, `@tidemark/${other}/some/module`, allowed);
    probe(`${name}/imports-${other}.test.ts`, `@tidemark/${other}/module`, allowed || other === 'testing');
    probe(`${name}/relative-to-${other}.ts`, `../${other}/module.ts`, false);
    probe(`${name}/nested/relative-to-${other}.test.ts`, `../../${other}/nested/module.ts`, false);
  }
  probe(`${name}/opens-database.ts`, 'better-sqlite3', OPEN_DATABASES.includes(name));
  probe(`${name}/own-module.ts`, './nested/module.ts', true);
  if (name !== 'electron') probe(`${name}/imports-electron-itself.ts`, 'electron', false);
  if (rule) probe(`${name}/imports-node.ts`, 'node:fs', !rule.browser);
  for (const module of Object.keys(rule?.forbidden ?? {})) probe(`${name}/forbidden.ts`, module, false);
  for (const module of rule?.modules ?? []) probe(`${name}/extra-module.ts`, module.replace('**', 'module'), true);
}

beforeAll(() => {
  folder = temporaryFolder('import-rules');
  for (const name of FOLDERS) addProbes(name);
  for (const { file, module } of probes) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    const lines = Object.values(FORMS).map((form) => form(module));
    writeFileSync(path.join(folder, file), `${lines.join('\n')}\n`);
  }
  for (const [module, file] of Object.entries(WRAPPED)) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    const lines = Object.keys(WRAPPED).map((each) => `import { ${each} } from 'electron';`);
    writeFileSync(path.join(folder, file), `${lines.join('\n')}\n`);
    writeFileSync(path.join(folder, `electron/imports-${module}.ts`), `import { ${module} } from 'electron';\n`);
  }
  refused = lint();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function lint(): Map<string, Set<number>> {
  const { vcs: _, ...config } = JSON.parse(readFileSync(BIOME_FILE, 'utf8')) as Record<string, unknown>;
  writeFileSync(path.join(folder, 'biome.json'), JSON.stringify(config));
  const biome = path.join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
  const rule = '--only=style/noRestrictedImports';
  const args = ['lint', rule, '--reporter=rdjson', '--max-diagnostics=none', '.'];
  const { stdout, stderr } = spawnSync(process.execPath, [biome, ...args], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (!stdout.startsWith('{')) throw new Error(`the linter did not run: ${stderr}`);
  const report = JSON.parse(stdout) as {
    diagnostics: { location: { path: string; range: { start: { line: number } } } }[];
  };
  const lines = new Map<string, Set<number>>();
  for (const { location } of report.diagnostics) {
    const file = path.relative(folder, path.resolve(folder, location.path)).replaceAll('\\', '/');
    lines.set(file, (lines.get(file) ?? new Set()).add(location.range.start.line));
  }
  return lines;
}

const refusedForms = (file: string) => Object.keys(FORMS).filter((_, index) => refused.get(file)?.has(index + 1));

test.each(FOLDERS)('%s: the linter refuses exactly the imports that are not allowed, in every form', (name) => {
  const own = probes.filter(({ file }) => file.startsWith(`${name}/`));
  expect(own.length).toBeGreaterThan(PACKAGES.length);
  for (const { file, module, allowed } of own)
    expect({ file, module, refused: refusedForms(file) }).toEqual({
      file,
      module,
      refused: allowed ? [] : Object.keys(FORMS),
    });
});

test.each(Object.entries(WRAPPED))("Electron's %s may be imported only by %s", (module, file) => {
  expect(refused.get(`electron/imports-${module}.ts`)).toEqual(new Set([1]));
  const others = Object.keys(WRAPPED).flatMap((each, index) => (each === module ? [] : [index + 1]));
  expect(refused.get(file)).toEqual(new Set(others));
});

test('biome.json contains the table of allowed imports (`npm run import-rules` writes it)', () => {
  const { overrides } = JSON.parse(readFileSync(BIOME_FILE, 'utf8')) as { overrides: unknown };
  expect(overrides).toEqual(JSON.parse(JSON.stringify(biomeOverrides())));
});

test('docs/architecture.md contains the table of allowed imports', () => {
  const text = readFileSync(path.join(ROOT, 'docs/architecture.md'), 'utf8');
  const described: Record<string, string[]> = {};
  for (const [, names = '', allowed = ''] of text.matchAll(/^\| (`[^|]+) \|[^|]*\| ([^|]+) \|$/gm)) {
    const listed = PACKAGES.filter((each) => new RegExp(`(^|, )${each}(,|$)`).test(allowed));
    for (const [, name = ''] of names.matchAll(/`([\w-]+)\/`/g))
      described[name] = allowed === 'anything' ? ['anything'] : listed;
  }
  const written = Object.fromEntries([
    ...Object.entries(ALLOWED).map(([name, { imports }]) => [name, [...imports]]),
    ...UNRESTRICTED.map((name) => [name, ['anything']]),
  ]);
  const sorted = (table: Record<string, string[]>) =>
    Object.entries(table)
      .map(([name, imports]) => `${name}: ${imports.toSorted().join(', ')}`)
      .sort();
  expect(sorted(described)).toEqual(sorted(written));
});

test('every package of the workspace has a rule', () => {
  const { workspaces } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { workspaces: string[] };
  expect(workspaces.toSorted()).toEqual(PACKAGES.toSorted());
});
