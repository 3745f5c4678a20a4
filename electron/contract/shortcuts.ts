/**
 * Keyboard shortcuts of the app that do not belong to a screen (those are in screens.ts), and how an accelerator is
 * matched and shown. The menu gets the accelerators unchanged; the window matches them against its own key events,
 * because a key that the page handles must not also reach the menu.
 */
export interface Shortcut {
  /** Words in the list of shortcuts. */
  readonly label: string;
  /** In Electron's notation. */
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

/** Electron's names of keys that the DOM calls otherwise. */
const DOM_KEYS: Readonly<Record<string, string>> = { Esc: 'Escape', Plus: '+' };
/** Names of keys as a person reads them. */
const KEY_CAPS: Readonly<Record<string, string>> = { CmdOrCtrl: 'Ctrl', Plus: '+', '-': '−' };

/** Whether a key press is exactly this accelerator, with no other modifier. */
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

/** The keys of an accelerator as they are printed on key caps: `CmdOrCtrl+F5` is `['Ctrl', 'F5']`. */
export function keyCaps(accelerator: string): string[] {
  return accelerator.split('+').map((name) => KEY_CAPS[name] ?? name);
}
