import { type Attributes, type EntitledSet, entitledSet, type Filters } from '../routing/filters.ts';

/** The sets of scopes of the terminals that asked since the relay started, each derived once from its attributes. */
export class Entitlements {
  readonly #filters: Filters;
  readonly #sets = new Map<string, EntitledSet>();

  constructor(filters: Filters) {
    this.#filters = filters;
  }

  /** The set of a terminal with these attributes. */
  of(attributes: Attributes): EntitledSet {
    const key = JSON.stringify(attributes);
    let set = this.#sets.get(key);
    if (!set) {
      set = entitledSet(this.#filters, attributes);
      this.#sets.set(key, set);
    }
    return set;
  }

  /** The set of this id; undefined: no terminal of it has asked. */
  byId(id: string): EntitledSet | undefined {
    return [...this.#sets.values()].find((set) => set.id === id);
  }
}
