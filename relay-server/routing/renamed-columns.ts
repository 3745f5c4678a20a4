import type { TableSchema } from '@tidemark/protocol/schema';
import type { TableFilter } from './filters.ts';

/**
 * Filters of a table whose columns were renamed at the master while the table is set aside (F17). The relay still holds
 * the rows under the old names, so the corrected filter matches only the table's next schema. Until then, the previous
 * filter selects the same rows under the old names.
 */

/** Returns the filter to bind to a version of the table. */
export function filterFor(schema: TableSchema, filter: TableFilter | undefined): TableFilter | undefined {
  return filter?.previous && !hasColumnsOf(schema, filter) ? filter.previous : filter;
}

/** Whether a table has all columns that a filter names. */
export function hasColumnsOf({ columns }: TableSchema, filter: TableFilter): boolean {
  const names = new Set(columns.map(({ name }) => name));
  return namesIn(filter).every((name) => names.has(name));
}

/** Reports whether two filters are equal but for the names of columns, each of which has one new name. */
export function isRenamed(filter: TableFilter, previous: TableFilter): boolean {
  const [now, before] = [inOrder(filter), inOrder(previous)];
  const [names, old] = [namesIn(now), namesIn(before)];
  const renamed = new Map(old.map((name, i) => [name, names[i]]));
  return (
    shapeOf(now) === shapeOf(before) &&
    old.every((name, i) => renamed.get(name) === names[i]) &&
    new Set(renamed.values()).size === renamed.size
  );
}

const namesIn = ({ where, columns, indexes }: TableFilter): string[] => [
  ...where.map(({ column }) => column),
  ...(columns?.names ?? []),
  ...indexes.flatMap(({ names }) => names),
];

/** Puts the conditions into an order that does not depend on names of columns. */
function inOrder(filter: TableFilter): TableFilter {
  const where = [...filter.where].sort((a, b) => (testOf(a) < testOf(b) ? -1 : 1));
  return { ...filter, where };
}

const shapeOf = ({ where, columns, indexes }: TableFilter) =>
  JSON.stringify([where.map(testOf), columns?.names.length, indexes.map(({ names }) => names.length)]);

const testOf = (condition: TableFilter['where'][number]) =>
  'attribute' in condition ? `$${condition.attribute}` : JSON.stringify(condition.values);
