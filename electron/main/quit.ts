import { app } from 'electron';

/** The app exits after this time at the latest, whatever is still being stopped. */
const LIMIT_MS = 12_000;

/**
 * Runs `stop` once before the app exits, however often something asks it to quit: a second quit must not cut off the
 * last write of the agent's database.
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
