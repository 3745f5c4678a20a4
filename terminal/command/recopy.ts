import { createInterface } from 'node:readline/promises';
import type { ExitCode } from '@tidemark/command-line/exit';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Call } from './call.ts';
import { runLine } from './lines.ts';
import { runOnce } from './run-once.ts';

/**
 * The command `recopy`: downloads a fresh copy, whatever the state of the replica.
 *
 * Order: confirmation, then the run, which checks the old file first. An intact file keeps its rows until the copy is
 * complete. A damaged file could not take the copy, so it is renamed first.
 */

/** Downloads a fresh copy. `yes`: without a question. Throws usage when no one can be asked, `cancelled`, the run's fault. */
export async function recopy(call: Call, yes: boolean): Promise<ExitCode> {
  if (!yes) await confirm(call);
  return runOnce(call, 'recopy', true, ({ run }) => [runLine(run)]);
}

async function confirm({ settings, database, signal }: Call): Promise<void> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || !stderr.isTTY)
    throw new TidemarkError('usage', { detail: '--yes is required where the command cannot ask' });
  const asking = createInterface({ input: stdin, output: stderr });
  // Ctrl+C reaches the question, not the process.
  const stop = new AbortController();
  asking.once('SIGINT', () => stop.abort());
  try {
    const question = `Download a fresh copy of ${settings.feed} into ${database}? It replaces the rows of the feed. [y/N] `;
    const answer = await asking
      .question(question, { signal: AbortSignal.any([signal, stop.signal]) })
      .catch(() => 'no');
    if (!/^y(es)?$/i.test(answer.trim())) throw new TidemarkError('cancelled');
  } finally {
    asking.close();
  }
}
