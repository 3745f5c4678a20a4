import { type Attributes, type EntitledSet, entitledSet, type Filters } from '../routing/filters.ts';

/**
 * The entitled sets of all terminals that have sent a request since the relay started. Each set is derived only once
 * from its attributes.
 */
export class Entitlements {
  readonly #filters: Filters;
  readonly #sets = new Map<string, EntitledSet>();

  constructor(filters: Filters) {
    this.#filters = filters;
  }

  /** Returns the set of a terminal with these attributes. */
  of(attributes: Attributes): EntitledSet {
    const key = JSON.stringify(attributes);
    let set = this.#sets.get(key);
    if (!set) {
      set = entitledSet(this.#filters, attributes);
      this.#sets.set(key, set);
    }
    return set;
  }

  /** Returns the set with this id, or undefined if no terminal with this set has sent a request. */
  byId(id: string): EntitledSet | undefined {
    return [...this.#sets.values()].find((set) => set.id === id);
  }
}
