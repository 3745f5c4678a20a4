import type { TableRow } from '@tidemark/electron/contract/contract';

/** Sorts and filters the list of tables. Pure functions. */

export type SortKey = 'name' | 'rows' | 'waiting' | 'lastChangeAt';
export interface Order {
  key: SortKey;
  down: boolean;
}

const names = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** Filters and sorts tables. Unknown values are last in both directions. */
export function arrange(rows: readonly TableRow[], order: Order, find: string, waitingOnly: boolean): TableRow[] {
  const wanted = find.trim().toLowerCase();
  const sign = order.down ? -1 : 1;
  return rows
    .filter((row) => row.name.toLowerCase().includes(wanted) && (!waitingOnly || (row.waiting ?? 0) > 0))
    .sort((a, b) => {
      const [x, y] = [a[order.key], b[order.key]];
      if (x === y) return names.compare(a.name, b.name);
      if (x === null) return 1;
      if (y === null) return -1;
      return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : names.compare(String(x), String(y)));
    });
}
