import { ERRORS } from '@tidemark/protocol/errors';
import { generatedFrom, page, table } from './markdown.ts';

/** docs/errors.md: every error with its sentence, from the one table of errors. */
export function errorsPage(): string {
  const rows = Object.entries(ERRORS).map(([code, error]) => [
    `\`${code}\``,
    String(error.status),
    error.means.replaceAll(/\{(\w+):\w+\}/g, '{$1}'),
    error.todo,
    error.retry ? 'yes' : 'no',
  ]);
  return page('Errors', [
    'Every error has a stable code. The relay sends it as `problem+json`, the commands print it on stderr, and the app shows it under Details. A program fills `{…}` with the name or number that the error concerns.',
    generatedFrom('`protocol/error-list.ts`'),
    table(['code', 'HTTP', 'meaning', 'what to do', 'a retry helps'], rows),
  ]);
}
