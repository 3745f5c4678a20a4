import type { Counts } from '@tidemark/table-store/feed-tables';

/** Counts the rows that a run changed, by table. */

type Numbers = Omit<Counts, 'name'>;

export function addCounts(a: Numbers, b: Numbers): Numbers {
  return {
    inserted: a.inserted + b.inserted,
    updated: a.updated + b.updated,
    deleted: a.deleted + b.deleted,
    truncated: a.truncated + b.truncated,
  };
}

/** Adds counts to others, table by table. Tables appear in the order of their first change. */
export function addTables(tables: readonly Counts[], more: readonly Counts[]): Counts[] {
  const sums = new Map(tables.map((table) => [table.name, table]));
  for (const table of more) {
    const sum = sums.get(table.name);
    sums.set(table.name, sum ? { name: table.name, ...addCounts(sum, table) } : table);
  }
  return [...sums.values()];
}

/** Returns the sum over all tables. */
export function totalOf(tables: readonly Counts[]): Numbers {
  return tables.reduce<Numbers>(addCounts, { inserted: 0, updated: 0, deleted: 0, truncated: 0 });
}
