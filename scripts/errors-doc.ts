import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ERRORS } from '@tidemark/protocol/errors';

export const ERRORS_FILE = path.resolve(import.meta.dirname, '../docs/errors.md');

/** docs/errors.md, made of the one table of errors. */
export function errorsMarkdown(): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const rows = Object.entries(ERRORS).map(
    ([code, error]) =>
      `| \`${code}\` | ${error.status} | ${cell(error.means.replaceAll(/\{(\w+):\w+\}/g, '{$1}'))} | ${cell(error.todo)} | ${error.retry ? 'yes' : 'no'} |`,
  );
  return [
    '# Errors',
    '',
    'Every error has a stable code. The relay sends it as `problem+json`, the commands print it on stderr, the app shows it under Details. `{…}` is filled with what it concerns. This page is made from `protocol/errors.ts` by `npm run docs`.',
    '',
    '| code | HTTP | what it means | what to do | does a retry help |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

export function errorsFile(): string {
  return readFileSync(ERRORS_FILE, 'utf8');
}

if (import.meta.main) writeFileSync(ERRORS_FILE, errorsMarkdown());
