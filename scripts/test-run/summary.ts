/** Formats the table at the end of `npm test`, and the last line, which other programs parse. */

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export interface StageResult extends Counts {
  name: string;
  /** Wall-clock time, ms. */
  durationMs: number;
  /** Why the stage did not complete. Null when it did. */
  broken: string | null;
}

/**
 * Adds up the counts. A stage that could not run counts as one failure, and a skipped test does not count as passed.
 */
export function isPassed(results: readonly StageResult[]): boolean {
  return results.length > 0 && results.every((result) => result.failed === 0 && result.skipped === 0);
}

/** Returns the lines to print. The last one is `N passed, N failed`, followed by `, N skipped` when there are any. */
export function summarise(results: readonly StageResult[]): string[] {
  const header = ['stage', 'passed', 'failed', 'skipped', 'time'];
  const rows = results.map((result) => [
    result.name,
    String(result.passed),
    String(result.failed),
    String(result.skipped),
    duration(result.durationMs),
  ]);
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ');
  const broken = results.flatMap(({ name, broken: why }) => (why === null ? [] : [`${name} did not complete: ${why}`]));
  const total = (count: keyof Counts) => results.reduce((sum, result) => sum + result[count], 0);
  const skipped = total('skipped');
  return [
    line(header),
    ...rows.map(line),
    ...broken,
    '',
    `${total('passed')} passed, ${total('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
  ];
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}
