import type { DialogId } from '../../contract/contract.ts';
import type { ScreenId } from '../../contract/screens.ts';

/** The commands of menu and tray. Each returns at once; a failure is logged, and shows in the status. */
export interface Commands {
  sync: () => void;
  check: () => void;
  cancel: () => void;
  pause: () => void;
  resume: () => void;
  /** Shows the window with one of its screens. */
  showScreen: (screen: ScreenId) => void;
  /** Shows the window with one of its dialogs. */
  openDialog: (dialog: DialogId) => void;
  showWindow: () => void;
  quit: () => void;
}
