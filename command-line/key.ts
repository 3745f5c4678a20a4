import { readFileSync } from 'node:fs';

/**
 * Where a command's key comes from: the file named by --token-file, else TIDEMARK_TOKEN. Never from an argument, which
 * every user of the machine can read in the process list.
 */

/**
 * Reads a key. Without one it returns '' and adds what is wrong to `mistakes`, so that a command can name all mistakes
 * of its call at once.
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
