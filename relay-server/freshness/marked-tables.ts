import { query, row, TEXT } from '@tidemark/table-store/query';
import type { Reader } from '@tidemark/table-store/sqlite';
import { requireStoredSchema } from '@tidemark/table-store/stored-schema';
import type { FeedRow } from '../log/log-format.ts';
import type { MarkedTable } from './troubles.ts';

const STORED = row({ name: TEXT, schema: TEXT });

/**
 * Reads which tables of the mirror are set aside. A mark changes only in a transaction, so the result is kept until the
 * head or the epoch changes: a status answer must not read every schema.
 */
export class MarkedTables {
  readonly #db: Reader;
  #at = '';
  #marked: MarkedTable[] = [];

  constructor(db: Reader) {
    this.#db = db;
  }

  /** Returns the tables that are set aside, by name. `row` is the committed state of the feed. */
  list({ epoch, head, position }: Pick<FeedRow, 'epoch' | 'head' | 'position'>): readonly MarkedTable[] {
    const at = `${epoch} ${head} ${position === null}`;
    if (at === this.#at) return this.#marked;
    // Searching for the text is far cheaper than parsing the schemas of hundreds of tables.
    const found = query(
      this.#db,
      `SELECT name, schema FROM tidemark_table WHERE instr(schema, '"setAside":') > 0 ORDER BY name`,
      STORED,
    ).all();
    this.#marked = found.flatMap(({ name, schema }) => {
      const { setAside } = requireStoredSchema(this.#db, schema, name);
      return setAside ? [{ name, setAside }] : [];
    });
    this.#at = at;
    return this.#marked;
  }
}
