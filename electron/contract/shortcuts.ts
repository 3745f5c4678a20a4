/**
 * Keyboard shortcuts that do not belong to a screen, and functions that match and format accelerators. Shortcuts of
 * screens are in screens.ts. The menu uses the accelerators unchanged. The window also matches them against its key
 * events, and keeps a key that it handles from the menu.
 */
export interface Shortcut {
  /** Label in the list of shortcuts. */
  readonly label: string;
  /** Accelerator in Electron's notation. */
  readonly accelerator: string;
}

export const SHORTCUTS = {
  sync: { label: 'Sync now', accelerator: 'F5' },
  check: { label: 'Check for changes only', accelerator: 'Shift+F5' },
  verify: { label: 'Verify data', accelerator: 'CmdOrCtrl+F5' },
  cancel: { label: 'Cancel the sync, or close what is open', accelerator: 'Esc' },
  settings: { label: 'Open settings', accelerator: 'CmdOrCtrl+,' },
  zoomIn: { label: 'Zoom in', accelerator: 'CmdOrCtrl+Plus' },
  zoomOut: { label: 'Zoom out', accelerator: 'CmdOrCtrl+-' },
  resetZoom: { label: 'Actual size', accelerator: 'CmdOrCtrl+0' },
  shortcuts: { label: 'Show this list', accelerator: 'F1' },
} as const satisfies Record<string, Shortcut>;

/** The parts of a DOM KeyboardEvent that identify a shortcut. */
export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
}

/** DOM names of the keys that Electron names differently. */
const DOM_KEYS: Readonly<Record<string, string>> = { Esc: 'Escape', Plus: '+' };
/** Labels of keys that differ from Electron's names. */
const KEY_CAPS: Readonly<Record<string, string>> = { CmdOrCtrl: 'Ctrl', Plus: '+', '-': '−' };

/** Reports whether a key press is this accelerator, without any other modifier. */
export function matchesAccelerator(accelerator: string, press: KeyPress): boolean {
  const names = accelerator.split('+');
  const key = names.at(-1) ?? '';
  return (
    press.key === (DOM_KEYS[key] ?? key) &&
    press.ctrlKey === names.includes('CmdOrCtrl') &&
    press.shiftKey === names.includes('Shift') &&
    !press.altKey &&
    !press.metaKey
  );
}

/** Returns the labels of an accelerator's keys: `['Ctrl', 'F5']` for `CmdOrCtrl+F5`. */
export function keyCaps(accelerator: string): string[] {
  return accelerator.split('+').map((name) => KEY_CAPS[name] ?? name);
}
