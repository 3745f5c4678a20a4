import { Menu, type MenuItemConstructorOptions } from 'electron';
import type { EventValue } from '../contract/contract.ts';

export interface Commands {
  sync: () => void;
  check: () => void;
  cancel: () => void;
  pause: () => void;
  resume: () => void;
  show: (screen: EventValue<'window.show'>['screen']) => void;
  open: () => void;
  quit: () => void;
}

/**
 * The app's menu, in the place of Electron's own: no reload, and developer tools only where `devTools` says so. The
 * page takes most of these keys itself and keeps them from the menu; Esc belongs to dialogs first, so only the page has it.
 */
export function installMenu(commands: Commands, devTools: boolean): void {
  const template: MenuItemConstructorOptions[] = [
    ...(process.platform === 'darwin' ? [{ role: 'appMenu' as const }] : []),
    {
      label: '&File',
      submenu: [
        { label: '&Settings', accelerator: 'CmdOrCtrl+,', click: () => commands.show('settings') },
        { type: 'separator' },
        { label: '&Quit', accelerator: 'CmdOrCtrl+Q', click: commands.quit },
      ],
    },
    { role: 'editMenu' },
    {
      label: '&Sync',
      submenu: [
        { label: '&Sync now', accelerator: 'F5', click: commands.sync },
        { label: '&Check for changes', accelerator: 'Shift+F5', click: commands.check },
        { label: '&Verify data…', accelerator: 'CmdOrCtrl+F5', click: () => commands.show('verify') },
        { label: 'C&ancel', accelerator: 'Esc', registerAccelerator: false, click: commands.cancel },
        { type: 'separator' },
        { label: '&Pause', click: commands.pause },
        { label: '&Resume', click: commands.resume },
      ],
    },
    {
      label: '&View',
      submenu: [
        { label: '&Sync', accelerator: 'CmdOrCtrl+1', click: () => commands.show('sync') },
        { label: '&Activity', accelerator: 'CmdOrCtrl+2', click: () => commands.show('activity') },
        { type: 'separator' },
        { role: 'zoomIn' },
        { role: 'zoomIn', accelerator: 'CmdOrCtrl+=', visible: false },
        { role: 'zoomOut' },
        { role: 'resetZoom' },
        { role: 'togglefullscreen' },
        ...(devTools ? [{ type: 'separator' as const }, { role: 'toggleDevTools' as const }] : []),
      ],
    },
    { role: 'windowMenu' },
    {
      role: 'help',
      submenu: [{ label: '&Keyboard shortcuts', accelerator: 'F1', click: () => commands.show('shortcuts') }],
    },
  ];
  Menu.setApplicationMenu(Menu.buildFromTemplate(template));
}
