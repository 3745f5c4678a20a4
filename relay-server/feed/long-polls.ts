/**
 * Holds status requests that wait for new transactions. A wait ends at the first commit with changes in one of the
 * request's scopes, at its time limit, when the caller disconnects, or when the relay stops. Other commits do not end
 * it.
 */

interface Waiter {
  scopes: ReadonlySet<string>;
  wake: () => void;
}

export class LongPolls {
  readonly #waiters = new Set<Waiter>();

  /**
   * Resolves at the next commit with changes in `scopes`, at the time limit, or when `signal` is aborted. The caller
   * must have checked that there are no such changes yet.
   */
  wait(scopes: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
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

  /** Ends the wait of every request for changes in any of these scopes. */
  wake(scopes: readonly string[]): void {
    for (const waiter of [...this.#waiters]) if (scopes.some((scope) => waiter.scopes.has(scope))) waiter.wake();
  }

  /** Ends the wait of every request. */
  wakeAll(): void {
    for (const { wake } of [...this.#waiters]) wake();
  }
}
