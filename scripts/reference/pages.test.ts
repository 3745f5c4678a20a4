import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { RelayYaml } from '@tidemark/relay-server/config/relay-yaml';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { PAGES, ROOT } from './pages.ts';
import { EXAMPLE } from './relay-yaml-page.ts';

test.each(Object.entries(PAGES))('%s matches the code (npm run docs regenerates it)', async (file, page) => {
  expect(readFileSync(path.join(ROOT, file), 'utf8')).toBe(await page());
});

test('the example of relay.yaml is valid', () => {
  expect(RelayYaml.safeParse(parse(EXAMPLE.join('\n'))).error).toBeUndefined();
});

test('the commands page lists every variable that the commands read', () => {
  const folders = ['command-line', 'master-feed', 'relay-server', 'terminal'];
  const files = execFileSync('git', ['ls-files', ...folders], { cwd: ROOT, encoding: 'utf8' });
  const sources = files.split('\n').filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  const read = sources.flatMap(
    (file) => readFileSync(path.join(ROOT, file), 'utf8').match(/\bTIDEMARK_[A-Z_]+\b/g) ?? [],
  );
  const page = readFileSync(path.join(ROOT, 'docs/reference/commands.md'), 'utf8');
  expect(read.length).toBeGreaterThan(0);
  for (const variable of new Set(read)) expect(page).toContain(`\`${variable}\``);
});
