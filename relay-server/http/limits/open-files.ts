/**
 * Derives the number of connections from the number of files that the process may have open. Each connection takes one,
 * and without a free one no feed can write, and no snapshot can be built.
 */

/** Files that remain for the stores, the builds and the downloads. */
const FILES_LEFT = 1_000;

/** Returns the number of connections to permit: at most `wanted`, and so few that files remain. */
export function connectionLimit(wanted: number, openFiles = openFilesLimit()): number {
  return Math.min(wanted, Math.max(openFiles - FILES_LEFT, Math.floor(openFiles / 2)));
}

/** Returns how many files the process may have open. Windows has no such limit. */
function openFilesLimit(): number {
  // @types/node does not declare the property.
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  const { excludeNetwork } = report;
  // The names of network peers take seconds to look up.
  report.excludeNetwork = true;
  const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft: unknown } } };
  report.excludeNetwork = excludeNetwork;
  const soft = userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : Number.POSITIVE_INFINITY;
}
