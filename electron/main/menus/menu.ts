import { Menu, type MenuItemConstructorOptions } from 'electron';
import { SCREENS } from '../../contract/screens.ts';
import { SHORTCUTS } from '../../contract/shortcuts.ts';
import type { Commands } from './commands.ts';

/**
 * Installs the app's menu, which replaces Electron's default. It has no reload command, and offers developer tools only
 * if `devTools` is set. The page handles most of these keys and keeps them from the menu. Only the page handles Esc,
 * because an open dialog uses it first.
 */
export function installMenu(commands: Commands, devTools: boolean): void {
  const template: MenuItemConstructorOptions[] = [
    ...(process.platform === 'darwin' ? [{ role: 'appMenu' as const }] : []),
    {
      label: '&File',
      submenu: [
        {
          label: '&Settings',
          accelerator: SHORTCUTS.settings.accelerator,
          click: () => commands.showScreen('settings'),
        },
        { type: 'separator' },
        { label: '&Quit', accelerator: 'CmdOrCtrl+Q', click: commands.quit },
      ],
    },
    { role: 'editMenu' },
    {
      label: '&Sync',
      submenu: [
        { label: '&Sync now', accelerator: SHORTCUTS.sync.accelerator, click: commands.sync },
        { label: '&Check for changes', accelerator: SHORTCUTS.check.accelerator, click: commands.check },
        {
          label: '&Verify data…',
          accelerator: SHORTCUTS.verify.accelerator,
          click: () => commands.openDialog('verify'),
        },
        {
          label: 'C&ancel',
          accelerator: SHORTCUTS.cancel.accelerator,
          registerAccelerator: false,
          click: commands.cancel,
        },
        { type: 'separator' },
        { label: '&Pause', click: commands.pause },
        { label: '&Resume', click: commands.resume },
      ],
    },
    {
      label: '&View',
      submenu: [
        ...SCREENS.map(({ id, label, accelerator }) => ({
          label: `&${label}`,
          accelerator,
          click: () => commands.showScreen(id),
        })),
        { type: 'separator' },
        { role: 'zoomIn', accelerator: SHORTCUTS.zoomIn.accelerator },
        // Plus needs Shift on most keyboards, so this entry also accepts the key without Shift.
        { role: 'zoomIn', accelerator: 'CmdOrCtrl+=', visible: false },
        { role: 'zoomOut', accelerator: SHORTCUTS.zoomOut.accelerator },
        { role: 'resetZoom', accelerator: SHORTCUTS.resetZoom.accelerator },
        { role: 'togglefullscreen' },
        ...(devTools ? [{ type: 'separator' as const }, { role: 'toggleDevTools' as const }] : []),
      ],
    },
    { role: 'windowMenu' },
    {
      role: 'help',
      submenu: [
        {
          label: '&Keyboard shortcuts',
          accelerator: SHORTCUTS.shortcuts.accelerator,
          click: () => commands.openDialog('shortcuts'),
        },
      ],
    },
  ];
  Menu.setApplicationMenu(Menu.buildFromTemplate(template));
}
