import { readFileSync } from 'node:fs';

/**
 * Reads a command's key from the file that --token-file names, otherwise from TIDEMARK_TOKEN. A key is never an
 * argument, because every user of the machine can read arguments in the process list.
 */

/**
 * Reads a key. If there is none, returns '' and adds a sentence to `mistakes`, so that a command can report all
 * mistakes of its call at once.
 */
export function readKey(file: string | undefined, environment: NodeJS.ProcessEnv, mistakes: string[]): string {
  if (file === undefined) {
    const key = environment.TIDEMARK_TOKEN?.trim() ?? '';
    if (key === '') mistakes.push('--token-file (or TIDEMARK_TOKEN) is missing');
    return key;
  }
  try {
    const key = readFileSync(file, 'utf8').trim();
    if (key === '') mistakes.push(`--token-file: ${file} is empty`);
    return key;
  } catch (error) {
    mistakes.push(`--token-file: ${file} cannot be read (${(error as { code?: string }).code ?? 'unknown'})`);
    return '';
  }
}
