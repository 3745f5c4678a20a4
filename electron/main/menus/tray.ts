import path from 'node:path';
import type { Status } from '@tidemark/status/status';
import { Menu, type NativeImage, nativeImage, Tray } from 'electron';
import type { Commands } from './commands.ts';
import { shapeOf, type TrayShape } from './tray-shape.ts';

/**
 * The tray: an icon whose shape follows the severity, the status in words, and the usual commands. Some desktops
 * have none, so nothing may depend on it.
 */

export interface AppTray {
  /** Redraws only differences, so it may be called for every published status. */
  show(status: Status): void;
}

/** Opens the icon beside the clock, with the status and the usual commands. Null on a desktop without a tray. */
export function openTray(commands: Commands): AppTray | null {
  // On Linux a tray is reached over the session bus; without one, Electron only logs errors.
  if (process.platform === 'linux' && !process.env.DBUS_SESSION_BUS_ADDRESS) return null;
  const images = new Map<TrayShape, NativeImage>();
  const imageOf = (shape: TrayShape): NativeImage => {
    // Electron adds the @2x and other scale factors that lie beside the file.
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
      // Not the headline: it counts up during a sync, and a menu that is replaced closes while it is open.
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
