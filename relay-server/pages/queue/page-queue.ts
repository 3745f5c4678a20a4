import { TidemarkError } from '@tidemark/protocol/errors';
import type { QueueState } from '../../threads/fair-queue.ts';
import type { ReadyPage } from '../compression.ts';
import type { ReadyPages } from '../ready-pages.ts';
import { type HeldPage, UnreadAnswers } from './unread-answers.ts';

/**
 * Decides which request for a page is served next.
 *
 * The queue builds one page at a time. Keys take turns, and the requests of one key are served in the order of their
 * arrival. A request has its turn when there is room for its answer. Requests for the same page share it. A request
 * leaves the queue when its client has gone, and after {@link PATIENCE_MS}. A page that is ready is served at once,
 * without a turn, if there is room. See B2 to B4 in docs/protocol.md.
 */

/** Upper bound on the number of requests that wait. */
export const WAITING_MAX = 2_000;
/** Upper bound on the number of waiting requests of one key. */
export const WAITING_MAX_OF_KEY = 32;
/** How long a request waits before it is answered with relay_busy, in ms. Terminals wait 10 s for an answer to begin. */
export const PATIENCE_MS = 8_000;
/** Number of answers after which other work of the event loop has its turn. */
const SLICE = 16;

/** Who asks for a page. */
export interface Asker {
  /** Name of the access key's holder. */
  key: string;
  /** Returns the signal that is aborted when the client has disconnected or the relay stops. */
  signal: () => AbortSignal;
}

interface Waiting {
  key: string;
  name: string;
  build: () => Promise<ReadyPage>;
  grant: (page: ReadyPage) => void;
  fail: (error: unknown) => void;
}

export class PageQueue {
  /** The pages that need no turn. */
  readonly ready: ReadyPages;
  readonly #unread = new UnreadAnswers(() => this.#work());
  /** Waiting requests by key, the key with the next turn first. */
  readonly #byKey = new Map<string, Set<Waiting>>();
  /** Waiting requests by the name of the page. */
  readonly #byPage = new Map<string, Set<Waiting>>();
  /** Waiting requests that have waited too long. */
  readonly #expired = new Set<Waiting>();
  readonly #count = { waiting: 0, refused: 0, dropped: 0 };
  #building = false;
  #pausing = false;

  constructor(ready: ReadyPages) {
    this.ready = ready;
  }

  get state(): QueueState {
    return { ...this.#count, running: this.#building ? 1 : 0 };
  }

  /**
   * Returns the page with this name, or null if `asker.signal` is aborted first. `build` returns the page; its error
   * rejects all requests for the page. Throws relay_busy if the queue is full or the request has waited too long.
   */
  get(name: string, asker: Asker, build: () => Promise<ReadyPage>): Promise<HeldPage | null> {
    const { key } = asker;
    const ready = this.ready.get(name);
    if (ready && this.#unread.hasRoom(key)) return Promise.resolve(this.#unread.hold(key, ready));
    if (this.#count.waiting >= WAITING_MAX || (this.#byKey.get(key)?.size ?? 0) >= WAITING_MAX_OF_KEY)
      return Promise.reject(this.#refusal());
    const signal = asker.signal();
    if (signal.aborted) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#remove(waiting);
      };
      const onAbort = () => {
        leave();
        this.#count.dropped++;
        resolve(null);
      };
      const waiting: Waiting = {
        ...{ key, name, build },
        grant: (page) => {
          leave();
          resolve(this.#unread.hold(key, page));
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      const timer = setTimeout(() => this.#expire(waiting), PATIENCE_MS);
      signal.addEventListener('abort', onAbort);
      this.#add(waiting);
      this.#work();
    });
  }

  #refusal(): TidemarkError {
    this.#count.refused++;
    return new TidemarkError('relay_busy');
  }

  /** Refuses a request, in the event loop's next turn or later, so that many refusals do not delay other work. */
  #expire(waiting: Waiting): void {
    if (this.#expired.size === 0) setImmediate(() => this.#refuseExpired());
    this.#expired.add(waiting);
  }

  #refuseExpired(): void {
    for (const each of [...this.#expired].slice(0, SLICE)) each.fail(this.#refusal());
    if (this.#expired.size > 0) setImmediate(() => this.#refuseExpired());
  }

  /** Serves the requests that have their turn, until one of them needs a page that is not ready. */
  #work(): void {
    for (let served = 0; !this.#building && !this.#pausing; served++) {
      const next = this.#next();
      if (!next) return;
      if (served === SLICE) return this.#pause();
      const ready = this.ready.get(next.name);
      if (!ready) {
        void this.#build(next);
        return;
      }
      next.grant(ready);
      this.#endTurn(next.key);
    }
  }

  /** Continues after other work of the event loop. */
  #pause(): void {
    this.#pausing = true;
    setImmediate(() => {
      this.#pausing = false;
      this.#work();
    });
  }

  /** Returns the first request of the first key that has room for an answer. */
  #next(): Waiting | null {
    if (this.#unread.isFull) return null;
    for (const [key, [first]] of this.#byKey) if (first && this.#unread.hasRoom(key)) return first;
    return null;
  }

  /** Gives the next turns to the other keys. */
  #endTurn(key: string): void {
    const ofKey = this.#byKey.get(key);
    this.#byKey.delete(key);
    if (ofKey) this.#byKey.set(key, ofKey);
  }

  async #build(first: Waiting): Promise<void> {
    this.#building = true;
    try {
      const page = await first.build();
      this.ready.set(first.name, page);
      // The others have their turn later, when they find the page ready.
      let granted = 0;
      for (const each of this.#sharing(first)) {
        if (each !== first && (granted >= SLICE || !this.#unread.hasRoom(each.key))) continue;
        each.grant(page);
        granted++;
      }
    } catch (error) {
      for (const each of this.#sharing(first)) each.fail(error);
    }
    this.#building = false;
    this.#endTurn(first.key);
    this.#work();
  }

  /** Returns the requests that wait for the same page, in the order of their arrival. */
  #sharing({ name }: Waiting): Waiting[] {
    return [...(this.#byPage.get(name) ?? [])];
  }

  #add(waiting: Waiting): void {
    this.#count.waiting++;
    addTo(this.#byKey, waiting.key, waiting);
    addTo(this.#byPage, waiting.name, waiting);
  }

  #remove(waiting: Waiting): void {
    this.#count.waiting--;
    this.#expired.delete(waiting);
    removeFrom(this.#byKey, waiting.key, waiting);
    removeFrom(this.#byPage, waiting.name, waiting);
  }
}

function addTo<T>(sets: Map<string, Set<T>>, name: string, value: T): void {
  const set = sets.get(name);
  if (set) set.add(value);
  else sets.set(name, new Set([value]));
}

function removeFrom<T>(sets: Map<string, Set<T>>, name: string, value: T): void {
  const set = sets.get(name);
  if (set?.delete(value) && set.size === 0) sets.delete(name);
}
