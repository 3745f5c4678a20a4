import type { Run } from '@tidemark/protocol/run';
import type { TableCount } from '@tidemark/replica/replica-summary';

/** Finds the marks (F17) that a run changed. */

type Marks = Pick<Run, 'setAside' | 'followed'>;

/**
 * Returns the tables that are set aside after a run but were not before it, and those that follow the master again. A
 * field is absent when it would be empty.
 */
export function marksBetween(before: readonly TableCount[], after: readonly TableCount[]): Marks {
  const marked = new Set(before.flatMap(({ name, setAside }) => (setAside ? [name] : [])));
  const setAside = after.flatMap(({ name, setAside }) =>
    setAside && !marked.has(name) ? [{ name, reason: setAside.reason }] : [],
  );
  const followed = after.flatMap(({ name, setAside }) => (!setAside && marked.has(name) ? [name] : []));
  return { ...(setAside.length > 0 ? { setAside } : {}), ...(followed.length > 0 ? { followed } : {}) };
}
