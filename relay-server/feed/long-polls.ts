/**
 * Status requests that wait for news. A request is answered by the first commit with changes in one of its scopes, at its
 * time limit, when its caller disconnects, or when the relay stops. A commit without changes in its scopes leaves it waiting.
 */

interface Waiter {
  scopes: ReadonlySet<string>;
  wake: () => void;
}

export class LongPolls {
  readonly #waiters = new Set<Waiter>();

  /** Resolves on news, at the time limit, or when `signal` is aborted. The caller has checked that there is no news yet. */
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
      // The signal does not fire for a caller that has disconnected already.
      if (signal.aborted) wake();
    });
  }

  /** Answers everyone who waits for changes in one of these scopes. */
  wake(scopes: readonly string[]): void {
    for (const waiter of [...this.#waiters]) if (scopes.some((scope) => waiter.scopes.has(scope))) waiter.wake();
  }

  /** Answers everyone. */
  wakeAll(): void {
    for (const { wake } of [...this.#waiters]) wake();
  }
}
