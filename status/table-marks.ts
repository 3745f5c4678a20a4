import type { Run } from '@tidemark/protocol/run';
import type { Format } from './format.ts';
import { listOf } from './states/wording.ts';

/** Wording of marks (F17) that a run brought. */

/**
 * Describes which tables were set aside and which follow head office again, as sentences without a final full stop.
 * Empty for a run that changed no mark.
 */
export function describeMarks(
  { setAside = [], followed = [] }: Pick<Run, 'setAside' | 'followed'>,
  format: Format,
): string[] {
  const aside = setAside.map(({ name }) => name);
  const tables = (names: string[]) => `${names.length === 1 ? 'Table' : 'Tables'} ${listOf(names, format)}`;
  return [
    ...(aside.length === 0 ? [] : [`${tables(aside)} ${aside.length === 1 ? 'was' : 'were'} set aside`]),
    ...(followed.length === 0
      ? []
      : [`${tables(followed)} ${followed.length === 1 ? 'follows' : 'follow'} head office again`]),
  ];
}
