import { app, dialog } from 'electron';
import type { AppLog } from './log.ts';

/**
 * Installs the handler for uncaught errors of the main process: it logs the error, shows it if `visible`, and quits.
 * Call once, at start.
 */
export function quitOnFatalError(log: AppLog, visible: boolean): void {
  process.on('uncaughtException', (error) => {
    log.write('error', 'app.uncaught', { detail: error.stack ?? error.message });
    if (visible)
      dialog.showErrorBox('Tidemark has to close', `${error.message}\n\nYour data is safe. Start Tidemark again.`);
    app.quit();
  });
  process.on('unhandledRejection', (reason) => {
    throw reason;
  });
}
