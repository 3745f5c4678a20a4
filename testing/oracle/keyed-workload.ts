import type { ChangeLine, WireRow } from '@tidemark/protocol/lines';
import type { Random } from './random.ts';

/** Size of the text in a row. Long rows make a large backlog out of few rows. */
const LONG = 1200;

/** Text that does not compress well. */
export const text = (random: Random) =>
  Array.from({ length: LONG / 8 }, () => random.int(0, 0xffff_ffff).toString(16).padStart(8, '0')).join('');

/**
 * Generates random transactions that a master could commit, on table 2 (a key of two columns), table 3 (a key of one
 * column) and table 4 (no key). The range of keys is small, so that transactions touch the same rows again.
 */
export class KeyedWorkload {
  readonly #random: Random;
  readonly #keys: Record<number, Map<string, WireRow>> = { 2: new Map(), 3: new Map() };

  #log: WireRow[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Returns the lines of one transaction. */
  transaction(): ChangeLine[] {
    return Array.from({ length: this.#random.int(1, 6) }, () => this.#line()).flat();
  }

  #line(): ChangeLine[] {
    const random = this.#random;
    if (random.chance(0.2)) return this.#keyless();
    const id = random.chance(0.5) ? 2 : 3;
    const keys = this.#keys[id] ?? new Map<string, WireRow>();
    const kind = random.next();
    const some = this.#some([...keys.values()]);
    if (kind < 0.02) {
      keys.clear();
      return [['t', id]];
    }
    if (kind < 0.3 || some.length === 0) {
      const fresh = Array.from({ length: random.int(1, 30) }, () => this.#key(id)).filter(
        (key, i, all) => !keys.has(JSON.stringify(key)) && all.findIndex((k) => `${k}` === `${key}`) === i,
      );
      for (const key of fresh) keys.set(JSON.stringify(key), key);
      return fresh.length === 0 ? [] : [['i', id, fresh.map((key) => this.#row(id, key))]];
    }
    if (kind < 0.45) {
      for (const key of some) keys.delete(JSON.stringify(key));
      return [['d', id, some]];
    }
    if (kind < 0.55) {
      // An update of the key, possibly to a key that an earlier row had.
      const [from] = some;
      const to = this.#key(id);
      if (!from || keys.has(JSON.stringify(to))) return [];
      keys.delete(JSON.stringify(from));
      keys.set(JSON.stringify(to), to);
      return [
        ['d', id, [from]],
        ['i', id, [this.#row(id, to)]],
      ];
    }
    return [['u', id, some.map((key) => this.#row(id, key))]];
  }

  /** Changes rows of the table without a key, some of which are equal. An update is a delete and an insert. */
  #keyless(): ChangeLine[] {
    const random = this.#random;
    const kind = random.next();
    if (kind < 0.03) {
      this.#log = [];
      return [['t', 4]];
    }
    const gone = kind < 0.5 ? this.#log.splice(random.int(0, 20), random.int(0, 10)) : [];
    const come = Array.from(
      { length: random.int(0, 12) },
      (): WireRow => [random.int(1, 9), `line ${random.int(1, 4)}`],
    );
    this.#log.push(...come);
    return [
      ...(gone.length > 0 ? [['d', 4, gone] as ChangeLine] : []),
      ...(come.length > 0 ? [['i', 4, come] as ChangeLine] : []),
    ];
  }

  #some(keys: WireRow[]): WireRow[] {
    const from = this.#random.int(0, Math.max(0, Math.min(keys.length, 60) - 1));
    return keys.slice(from, from + this.#random.int(1, 30));
  }

  /** Returns a random key from a small range, so that keys repeat. */
  #key(id: number): WireRow {
    return id === 3 ? [this.#random.int(1, 300)] : [`b${this.#random.int(1, 3)}`, this.#random.int(1, 60)];
  }

  #row(id: number, key: WireRow): WireRow {
    const random = this.#random;
    return id === 3
      ? [...key, text(random)]
      : [...key, random.int(0, 99_999) / 100, random.chance(0.2) ? null : text(random)];
  }
}
