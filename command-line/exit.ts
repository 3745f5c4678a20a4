import { asTidemarkError, ERRORS, TidemarkError, toProblem } from '@tidemark/protocol/errors';
import { visible } from './visible.ts';

/**
 * The end of a command: its exit code, and the one line on stderr that states why it failed. The three commands share
 * it, so a script can treat them in the same way.
 */

/**
 * Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but the data falls short of head office's, 78 invalid configuration
 * (EX_CONFIG of sysexits.h).
 */
export type ExitCode = 0 | 1 | 2 | 3 | 78;

/**
 * The exit code and the message of a command. `line`: the text for stderr. Null when there is no message, as after
 * `--help`.
 */
export interface Exit {
  line: string | null;
  exitCode: ExitCode;
}

/**
 * Returns the exit code and the message for an error that a command threw. Errors of commander become `usage`, except
 * those that only end the parsing (`--help`, `--version`). `json`: the line is a problem document in the relay's
 * format, otherwise `code: sentence`.
 */
export function exitAfter(thrown: unknown, json: boolean): Exit {
  const { code, exitCode, message } = thrown as { code?: unknown; exitCode?: number; message: string };
  const fromParser = typeof code === 'string' && code.startsWith('commander.');
  if (fromParser && exitCode === 0) return { line: null, exitCode: 0 };
  const error = fromParser ? new TidemarkError('usage', { detail: fromArguments(message) }) : asTidemarkError(thrown);
  return {
    line: json ? JSON.stringify(toProblem(error)) : `${error.code}: ${error.message} ${ERRORS[error.code].todo}`,
    exitCode: error.code === 'usage' ? 2 : error.code === 'config_invalid' ? 78 : 1,
  };
}

/**
 * Returns the message of a usage error in one line. It quotes arguments, and an argument may contain control characters,
 * or an address with a password.
 */
function fromArguments(message: string): string {
  const line = message.replace(/^error: /, '').replace(/\n(?=\(Did you mean [^\n]*\)$)/, ' ');
  return visible(line.replace(/(postgres(ql)?:|[a-z][a-z0-9+.-]*:\/\/).*/is, '…'));
}
