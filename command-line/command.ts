import { asTidemarkError, ERRORS, TidemarkError, toProblem } from '@tidemark/protocol/errors';

/** What the three commands have in common: exit codes, error lines, and where a token comes from. */

/** 0 done, 1 failed, 2 wrong usage, 78 wrong config (EX_CONFIG). */
export type ExitCode = 0 | 1 | 2 | 78;

/** How a command ends that threw: its one line for stderr (null: none), and its exit code. */
export function endOf(thrown: unknown, json: boolean): { line: string | null; exitCode: ExitCode } {
  const { code, exitCode, message } = thrown as { code?: unknown; exitCode?: number; message: string };
  // Commander's own errors: help and version end well, the rest is wrong usage.
  const byParser = typeof code === 'string' && code.startsWith('commander.');
  if (byParser && exitCode === 0) return { line: null, exitCode: 0 };
  const error = byParser
    ? new TidemarkError('usage', { detail: message.replace(/^error: /, '') })
    : asTidemarkError(thrown);
  return {
    line: json ? JSON.stringify(toProblem(error)) : `${error.code}: ${error.message} ${ERRORS[error.code].todo}`,
    exitCode: error.code === 'usage' ? 2 : error.code === 'config_invalid' ? 78 : 1,
  };
}

export interface TokenSource {
  /** Of --token-file. */
  file: string | undefined;
  /** Of TIDEMARK_TOKEN, which counts when no file is named. */
  environment: string | undefined;
  /** Gives a file's text, or throws an error with a code. */
  read: (file: string) => string;
}

/** The token, or '' with what is wrong added to `mistakes`. */
export function tokenOf({ file, environment, read }: TokenSource, mistakes: string[]): string {
  if (file === undefined) {
    const token = environment?.trim() ?? '';
    if (!token) mistakes.push('--token-file (or TIDEMARK_TOKEN) is missing');
    return token;
  }
  try {
    const token = read(file).trim();
    if (!token) mistakes.push(`--token-file: ${file} is empty`);
    return token;
  } catch (error) {
    mistakes.push(`--token-file: ${file} cannot be read (${(error as { code?: string }).code ?? 'unknown'})`);
    return '';
  }
}
