import type { TableRow } from '@tidemark/electron/contract/contract';

/** Sorts and filters the list of tables. Pure functions. */

export type SortKey = 'name' | 'rows' | 'waiting' | 'lastChangeAt';
export interface Order {
  key: SortKey;
  down: boolean;
}

const names = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** The tables to show: all, those with changes waiting, or those that are set aside. */
export type Only = 'all' | 'waiting' | 'set-aside';

const SHOWS: Record<Only, (row: TableRow) => boolean> = {
  all: () => true,
  waiting: ({ waiting }) => (waiting ?? 0) > 0,
  'set-aside': ({ setAside }) => setAside !== null,
};

/**
 * Filters and sorts tables. Tables that are set aside come first in every order, and unknown values last in both
 * directions.
 */
export function arrange(rows: readonly TableRow[], order: Order, find: string, only: Only): TableRow[] {
  const wanted = find.trim().toLowerCase();
  const sign = order.down ? -1 : 1;
  return rows
    .filter((row) => row.name.toLowerCase().includes(wanted) && SHOWS[only](row))
    .sort((a, b) => {
      if ((a.setAside === null) !== (b.setAside === null)) return a.setAside === null ? 1 : -1;
      const [x, y] = [a[order.key], b[order.key]];
      if (x === y) return names.compare(a.name, b.name);
      if (x === null) return 1;
      if (y === null) return -1;
      return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : names.compare(String(x), String(y)));
    });
}
