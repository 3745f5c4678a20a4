import { app } from 'electron';

/** The app exits after this time even if a part has not stopped. */
const LIMIT_MS = 12_000;

/**
 * Runs `stop` once before the app exits. A second request to quit must not interrupt the agent's last write to its
 * database.
 */
export function quitWhenStopped(stop: () => Promise<void>, onError: (error: unknown) => void): void {
  let quitting = false;
  app.on('before-quit', (event) => {
    event.preventDefault();
    if (quitting) return;
    quitting = true;
    void Promise.race([stop(), new Promise<void>((resolve) => setTimeout(resolve, LIMIT_MS))])
      .catch(onError)
      .then(() => app.exit(0));
  });
}
