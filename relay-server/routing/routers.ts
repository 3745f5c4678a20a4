import { TidemarkError } from '@tidemark/protocol/errors';
import type { TableSchema } from '@tidemark/protocol/schema';
import type { Filters } from './filters.ts';
import { Router } from './router.ts';

/** Holds a router for each version of the feed's tables, by table id. */
export class Routers {
  readonly #filters: Filters;
  readonly #routers = new Map<number, Router>();

  constructor(filters: Filters) {
    this.#filters = filters;
  }

  /**
   * Binds a table's filter, once per table id. Throws filter_invalid if relay.yaml names a column that the table does
   * not have, or a constant that a column cannot contain. The error names the table.
   */
  bind(id: number, schema: TableSchema): Router {
    const known = this.#routers.get(id);
    if (known) return known;
    const mistakes: string[] = [];
    const router = new Router(schema, this.#filters[schema.name], mistakes);
    if (mistakes.length > 0)
      throw new TidemarkError('filter_invalid', { detail: mistakes.join('; '), table: schema.name });
    this.#routers.set(id, router);
    return router;
  }

  /** Returns the router of a table id. Throws page_invalid if the id has not been bound. */
  of(id: number): Router {
    const router = this.#routers.get(id);
    if (!router) throw new TidemarkError('page_invalid', { detail: `table id ${id} is not declared` });
    return router;
  }

  clear(): void {
    this.#routers.clear();
  }
}
