import type { Status } from '@tidemark/status/status';
import { Menu, type NativeImage, nativeImage, Tray } from 'electron';
import type { Commands } from './menu.ts';
import { drawTrayIcon, shapeOf, type TrayShape } from './tray-icon.ts';

const SIZE = 16;

export interface AppTray {
  show(status: Status): void;
}

/** An icon beside the clock with the status and the usual commands; null on a desktop that has no place for one. */
export function openTray(commands: Commands): AppTray | null {
  // On Linux a tray lives on the session bus; without one Electron would only complain.
  if (process.platform === 'linux' && !process.env.DBUS_SESSION_BUS_ADDRESS) return null;
  const images = new Map<TrayShape, NativeImage>();
  const image = (shape: TrayShape): NativeImage => {
    const drawn = images.get(shape) ?? draw(shape);
    images.set(shape, drawn);
    return drawn;
  };
  const tray = new Tray(image('outline'));
  tray.on('click', commands.open);
  let shown = '';
  return {
    show({ severity, code, short, headline, primary, secondary }) {
      const ids = [primary, ...secondary].map((action) => action?.id);
      const key = JSON.stringify([severity, code, short, ids]);
      if (key === shown) return;
      shown = key;
      const can = (id: (typeof ids)[number]) => ids.includes(id);
      tray.setImage(image(shapeOf(severity, code)));
      tray.setToolTip(`Tidemark: ${short}`);
      tray.setContextMenu(
        Menu.buildFromTemplate([
          { label: headline, enabled: false },
          { type: 'separator' },
          ...(can('cancel')
            ? [{ label: 'Cancel', click: commands.cancel }]
            : [{ label: 'Sync now', enabled: code !== 'setup', click: commands.sync }]),
          ...(can('resume')
            ? [{ label: 'Resume', click: commands.resume }]
            : [{ label: 'Pause', enabled: code !== 'setup', click: commands.pause }]),
          { type: 'separator' },
          { label: 'Open', click: commands.open },
          { label: 'Settings', click: () => commands.show('settings') },
          { type: 'separator' },
          { label: 'Quit', click: commands.quit },
        ]),
      );
    },
  };
}

function draw(shape: TrayShape): NativeImage {
  const image = nativeImage.createEmpty();
  for (const scaleFactor of [1, 2]) {
    const size = SIZE * scaleFactor;
    image.addRepresentation({
      scaleFactor,
      width: size,
      height: size,
      buffer: nativeImage.createFromBitmap(drawTrayIcon(shape, size), { width: size, height: size }).toPNG(),
    });
  }
  return image;
}
