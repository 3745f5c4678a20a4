import path from 'node:path';
import type { Status } from '@tidemark/status/status';
import { Menu, type NativeImage, nativeImage, Tray } from 'electron';
import type { Commands } from './commands.ts';
import { shapeOf, type TrayShape } from './tray-shape.ts';

/**
 * The tray: an icon whose shape shows the severity, the status text, and common commands. Some desktops have no tray,
 * so no feature may depend on it.
 */

export interface AppTray {
  /** Shows a status. It redraws only the parts that changed, so callers may call it for every published status. */
  show(status: Status): void;
}

/** Creates the tray icon and its menu. Returns null on a desktop without a tray. */
export function openTray(commands: Commands): AppTray | null {
  // On Linux, Electron needs the session bus to show a tray icon. Without the bus it only logs errors.
  if (process.platform === 'linux' && !process.env.DBUS_SESSION_BUS_ADDRESS) return null;
  const images = new Map<TrayShape, NativeImage>();
  const imageOf = (shape: TrayShape): NativeImage => {
    // Electron also loads the @2x and other scale factors from the same folder.
    const image = images.get(shape) ?? nativeImage.createFromPath(path.join(__dirname, 'tray', `${shape}.png`));
    images.set(shape, image);
    return image;
  };
  const tray = new Tray(imageOf('outline'));
  tray.on('click', commands.showWindow);
  let shown = '';
  return {
    show({ severity, code, short, headline, primary, secondary }) {
      const ids = [primary, ...secondary].map((action) => action?.id);
      // The key omits the headline, which changes constantly during a sync: replacing an open menu closes it.
      const key = JSON.stringify([severity, code, short, ids]);
      if (key === shown) return;
      shown = key;
      const offers = (id: (typeof ids)[number]) => ids.includes(id);
      tray.setImage(imageOf(shapeOf(severity, code)));
      tray.setToolTip(`Tidemark: ${short}`);
      tray.setContextMenu(
        Menu.buildFromTemplate([
          { label: headline, enabled: false },
          { type: 'separator' },
          ...(offers('cancel')
            ? [{ label: 'Cancel', click: commands.cancel }]
            : [{ label: 'Sync now', enabled: code !== 'setup', click: commands.sync }]),
          ...(offers('resume')
            ? [{ label: 'Resume', click: commands.resume }]
            : [{ label: 'Pause', enabled: code !== 'setup', click: commands.pause }]),
          { type: 'separator' },
          { label: 'Open', click: commands.showWindow },
          { label: 'Settings', click: () => commands.showScreen('settings') },
          { type: 'separator' },
          { label: 'Quit', click: commands.quit },
        ]),
      );
    },
  };
}
