import type { DialogId } from '../../contract/contract.ts';
import type { ScreenId } from '../../contract/screens.ts';

/** The commands of menu and tray. Each returns immediately. The app logs a failure and shows it in the status. */
export interface Commands {
  sync: () => void;
  check: () => void;
  cancel: () => void;
  pause: () => void;
  resume: () => void;
  /** Shows the window with this screen. */
  showScreen: (screen: ScreenId) => void;
  /** Shows the window with this dialog. */
  openDialog: (dialog: DialogId) => void;
  showWindow: () => void;
  quit: () => void;
}
