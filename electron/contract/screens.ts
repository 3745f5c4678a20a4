import { z } from 'zod';

/**
 * The only list of the window's screens. The rail, the menu, the keyboard shortcuts, the list of shortcuts and
 * `window.show` derive from it. To add a screen, add an entry here and its view in renderer/shell/screen-views.tsx.
 * Without the view, the code does not compile.
 */
export interface Screen {
  readonly id: string;
  /** Label on the rail, in the menu and in the list of shortcuts. */
  readonly label: string;
  /** Accelerator in Electron's notation. */
  readonly accelerator: string;
}

/** All screens, in the order of the rail. The window opens with the first one. */
export const SCREENS = [
  { id: 'sync', label: 'Sync', accelerator: 'CmdOrCtrl+1' },
  { id: 'activity', label: 'Activity', accelerator: 'CmdOrCtrl+2' },
  { id: 'data', label: 'Data', accelerator: 'CmdOrCtrl+3' },
  { id: 'settings', label: 'Settings', accelerator: 'CmdOrCtrl+4' },
] as const satisfies readonly Screen[];

export const ScreenId = z.enum(SCREENS.map(({ id }) => id));
export type ScreenId = (typeof SCREENS)[number]['id'];
