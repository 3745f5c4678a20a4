import { missingColumns } from '../own-tables.ts';
import type { Migration } from './migration.ts';

const COLUMN = 'tables_set_aside';

/**
 * Format 3 adds the column `tables_set_aside` to `tidemark_status`, and the view `tidemark_table_status`, which
 * `createOwnTables` creates.
 *
 * If any other column is missing, another program created the table, and `createOwnTables` replaces it.
 */
export const ADD_TABLES_SET_ASIDE: Migration = {
  format: 3,
  adds: { table: 'tidemark_status', columns: [COLUMN] },
  up(db) {
    const missing = missingColumns(db, 'tidemark_status');
    if (missing.length === 1 && missing[0] === COLUMN)
      db.exec(`ALTER TABLE tidemark_status ADD COLUMN ${COLUMN} INTEGER`);
  },
};
