import { ERRORS } from '@tidemark/protocol/errors';
import { generatedFrom, page, table } from './markdown.ts';

/** Generates docs/errors.md, which lists every error code with its sentence, from the table of errors in `protocol`. */
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
