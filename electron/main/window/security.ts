import { app, type Session } from 'electron';
import { openExternal } from '../../ipc/open-external.ts';
import { parseUrl } from '../../ipc/parse-url.ts';

/** Keeps every web contents of the app on its page: prevents navigation, new windows and embedded pages. */
export function hardenContents(onRefused: (what: string) => void): void {
  app.on('web-contents-created', (_, contents) => {
    const refuse = (event: { preventDefault: () => void; url: string }) => {
      event.preventDefault();
      onRefused(`navigation to ${event.url}`);
    };
    contents.on('will-navigate', refuse);
    contents.on('will-redirect', refuse);
    contents.on('will-frame-navigate', refuse);
    contents.on('will-attach-webview', (event) => {
      event.preventDefault();
      onRefused('a webview');
    });
    contents.setWindowOpenHandler(({ url }) => {
      openExternal(url).then(
        (opened) => {
          if (!opened) onRefused(`a window for ${url}`);
        },
        (error: unknown) => onRefused(`${url}: ${String(error)}`),
      );
      return { action: 'deny' };
    });
  });
}

/** Denies pages all permissions, devices and downloads, and every request outside `scheme`. */
export function hardenSession(session: Session, scheme: string, onRefused: (what: string) => void): void {
  session.setPermissionRequestHandler((_, permission, callback) => {
    onRefused(`permission ${permission}`);
    callback(false);
  });
  session.setPermissionCheckHandler(() => false);
  session.setDevicePermissionHandler(() => false);
  session.on('will-download', (event) => event.preventDefault());
  session.webRequest.onBeforeRequest((details, callback) => {
    const url = parseUrl(details.url);
    const allowed = url !== null && [`${scheme}:`, 'data:', 'devtools:'].includes(url.protocol);
    if (!allowed) onRefused(`a request to ${details.url}`);
    callback({ cancel: !allowed });
  });
}
