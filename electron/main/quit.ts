import { app } from 'electron';

/** However long what is asked to end takes, the app ends after this. */
const LIMIT_MS = 12_000;

/**
 * Ends the app once: whatever asks it to quit, and however often, `stop` runs once and to its end (or the limit) before
 * the process goes. A second quit in the middle of the first would cut the database's last write.
 */
export function quitWhenStopped(stop: () => Promise<void>, onError: (error: unknown) => void): void {
  let quits = false;
  app.on('before-quit', (event) => {
    event.preventDefault();
    if (quits) return;
    quits = true;
    void Promise.race([stop(), new Promise<void>((resolve) => setTimeout(resolve, LIMIT_MS))])
      .catch(onError)
      .then(() => app.exit(0));
  });
}
