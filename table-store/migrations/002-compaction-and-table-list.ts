import { missingColumns } from '../own-tables.ts';
import type { Migration } from './migration.ts';

const COLUMNS: Record<string, string> = { squashed: 'squashed INTEGER', tables: 'tables TEXT' };

/**
 * Format 2 adds two columns to `tidemark_meta`: `squashed`, for pages of compacted transactions, and `tables`, the list
 * of the feed's tables. The first files of format 2 had only `squashed`.
 *
 * If any other column is missing, another program created the table, and `createOwnTables` replaces it.
 */
export const ADD_COMPACTION_AND_TABLE_LIST: Migration = {
  format: 2,
  adds: { table: 'tidemark_meta', columns: Object.keys(COLUMNS) },
  up(db) {
    const missing = missingColumns(db, 'tidemark_meta');
    if (!missing.every((name) => name in COLUMNS)) return;
    for (const name of missing) db.exec(`ALTER TABLE tidemark_meta ADD COLUMN ${COLUMNS[name]}`);
  },
};
