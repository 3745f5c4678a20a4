import path from 'node:path';

/**
 * Makes Node processes and worker threads that are started from now on keep what they compile, types already stripped,
 * in a folder that later runs read. Tests start commands some thousand times, and each start then takes half the time.
 * Entries are found by the content of the source, so a changed file is compiled again.
 */
export function useCompileCache(): void {
  process.env.NODE_COMPILE_CACHE ??= path.resolve(import.meta.dirname, '../../node_modules/.cache/node-compile');
}
