import { existsSync } from 'node:fs';
import { exists, query, row, TEXT } from '@tidemark/table-store/query';
import { openReader, prepared, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { requireStoredSchema } from '@tidemark/table-store/stored-schema';
import { StoredFilter } from '../routing/filter-schema.ts';
import type { Filters, TableFilter } from '../routing/filters.ts';
import { hasColumnsOf, isRenamed } from '../routing/renamed-columns.ts';

/**
 * The filters by which the tables of the mirror were routed, stored beside it. After a column of
 * a filter was renamed, the table is set aside under its old schema, which the corrected filter does not match.
 */

const STORED = row({ name: TEXT, filter: TEXT });
const TABLE = row({ name: TEXT, schema: TEXT });

/** A table whose corrected filter waits for its next schema. */
export interface WaitingFilter {
  table: string;
  /** The place of the filter in relay.yaml. */
  at: string;
}

/**
 * Adds the stored filter as `previous` to each filter that its table, which is set aside, does not match only because
 * of renamed columns. Throws db_*.
 */
export function withPrevious(file: string, filters: Filters): { filters: Filters; waiting: WaitingFilter[] } {
  if (!existsSync(file)) return { filters, waiting: [] };
  const db = openReader(file);
  try {
    if (!exists(db, "SELECT 1 FROM sqlite_schema WHERE name = 'tidemark_filter'")) return { filters, waiting: [] };
    const stored = new Map(
      query(db, 'SELECT name, filter FROM tidemark_filter', STORED)
        .all()
        .map(({ name, filter }) => [name, filter]),
    );
    const all = { ...filters };
    const waiting: WaitingFilter[] = [];
    for (const { name, schema: text } of query(db, 'SELECT name, schema FROM tidemark_table', TABLE).all()) {
      const schema = requireStoredSchema(db, text, name);
      const filter = filters[name];
      const kept = stored.get(name);
      if (!filter || kept === undefined || schema.setAside === undefined || hasColumnsOf(schema, filter)) continue;
      const previous = previousOf(kept);
      if (!previous || !isRenamed(filter, previous)) continue;
      all[name] = { ...filter, previous };
      waiting.push({ table: name, at: filter.where[0]?.at ?? filter.columns?.at ?? filter.indexes[0]?.at ?? '' });
    }
    return { filters: all, waiting };
  } finally {
    db.close();
  }
}

/** Stores the filters, or the previous filter of a table whose corrected one waits. */
export function storeFilters(db: Writer, filters: Filters): void {
  const wanted = Object.entries(filters).map(([name, { previous, ...filter }]) => ({
    name,
    filter: JSON.stringify(previous ?? filter),
  }));
  const stored = query(db, 'SELECT name, filter FROM tidemark_filter ORDER BY name', STORED).all();
  if (JSON.stringify(stored) === JSON.stringify(wanted.sort((a, b) => (a.name < b.name ? -1 : 1)))) return;
  transaction(db, () => {
    db.exec('DELETE FROM tidemark_filter');
    for (const { name, filter } of wanted)
      prepared(db, 'INSERT INTO tidemark_filter (name, filter) VALUES (?, ?)').run(name, filter);
  });
}

/** Parses a stored filter. Returns null for one of another version. */
function previousOf(text: string): TableFilter | null {
  const parsed = StoredFilter.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : null;
}
