import { RetryLater } from '../threads/retry-later.ts';

/**
 * Holds status requests that wait for new transactions. A wait ends at the first commit with changes in one of the
 * request's scopes, at its time limit, when the caller disconnects, or when the relay stops. Other commits do not end
 * it.
 *
 * A commit ends no wait before the event loop's next turn, so that the relay first answers the feed. It then ends the
 * waits in slices, in the order in which they began, and the event loop serves other requests between two slices.
 *
 * The number of waits is limited, in all and for each access key (B46). A request beyond the limit is refused, because an
 * immediate answer without news would make its terminal poll again.
 */

interface Waiter {
  scopes: ReadonlySet<string>;
  wake: () => void;
}

/** Number of waits that end in one turn of the event loop. */
const SLICE = 32;
/** Maximum number of waits of all keys. */
const MOST_WAITS = 20_000;
/** Maximum number of waits of one key. A key may serve a few PCs, and each of them has one. */
const MOST_WAITS_OF_KEY = 16;
/** The time after which a refused request may come again, in seconds. */
const ASK_AGAIN_S = 5;

export class LongPolls {
  readonly #waiters = new Set<Waiter>();
  /** Requests that concern a commit, and whose wait has not ended yet. */
  readonly #woken = new Set<Waiter>();
  /** Number of waits of each key. */
  readonly #ofKey = new Map<string, number>();
  #scheduled = false;

  /**
   * Resolves at the next commit with changes in `scopes`, at the time limit, or when `signal` is aborted. The caller
   * must have checked that there are no such changes yet. Rejects with relay_busy if too many requests wait, in all or of
   * this key.
   */
  async wait(key: string, scopes: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<void> {
    const ofKey = this.#ofKey.get(key) ?? 0;
    if (this.#waiters.size + this.#woken.size >= MOST_WAITS || ofKey >= MOST_WAITS_OF_KEY)
      throw new RetryLater('relay_busy', ASK_AGAIN_S);
    this.#ofKey.set(key, ofKey + 1);
    await this.#nextNews(scopes, timeoutMs, signal);
    const left = (this.#ofKey.get(key) ?? 1) - 1;
    if (left > 0) this.#ofKey.set(key, left);
    else this.#ofKey.delete(key);
  }

  #nextNews(scopes: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        this.#woken.delete(waiter);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const waiter: Waiter = { scopes: new Set(scopes), wake };
      const timer = setTimeout(wake, timeoutMs);
      this.#waiters.add(waiter);
      signal.addEventListener('abort', wake);
      // The signal does not fire if the caller has already disconnected.
      if (signal.aborted) wake();
    });
  }

  /** Ends the wait of every request for changes in any of these scopes, from the event loop's next turn on. */
  wake(scopes: readonly string[]): void {
    const changed = new Set(scopes);
    for (const waiter of this.#waiters) {
      if (!intersect(changed, waiter.scopes)) continue;
      this.#waiters.delete(waiter);
      this.#woken.add(waiter);
    }
    this.#scheduleSlice();
  }

  /** Ends the wait of every request. */
  wakeAll(): void {
    for (const { wake } of [...this.#woken, ...this.#waiters]) wake();
  }

  #endSlice(): void {
    let left = SLICE;
    for (const { wake } of this.#woken) {
      if (left-- === 0) break;
      wake();
    }
    this.#scheduleSlice();
  }

  #scheduleSlice(): void {
    if (this.#scheduled || this.#woken.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#endSlice();
    });
  }
}

/** Reports whether the sets have a common element. Reads only the smaller set. */
function intersect(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  const [smaller, larger] = a.size < b.size ? [a, b] : [b, a];
  for (const scope of smaller) if (larger.has(scope)) return true;
  return false;
}
