import type { Cell } from '@tidemark/electron/contract/contract';
import { FORMAT } from '@tidemark/status/format';

/** The text of a cell in the grid and on the clipboard. */

/** Returns the text that the grid shows. CSS classes distinguish NULL and blobs from text with the same characters. */
export function shownText(cell: Cell | undefined): string {
  if (cell === undefined) return '';
  if (cell === null) return 'NULL';
  switch (cell.type) {
    case 'blob':
      return `BLOB ${FORMAT.bytes(cell.bytes)}`;
    case 'cut':
      // The grid shows one line.
      return `${cell.text.replaceAll(/\s+/g, ' ')}… (${FORMAT.bytes(cell.bytes)})`;
    case 'text':
      return cell.text.replaceAll(/\s+/g, ' ');
    default:
      return cell.text;
  }
}

/** Returns the text to copy: nothing for NULL, hexadecimal digits for a blob, else the value unchanged. */
export function copiedText(cell: Cell): string {
  if (cell === null) return '';
  return cell.type === 'blob' ? cell.hex : cell.text;
}

/** Whether a page contains only the beginning of the value. */
export const isCut = (cell: Cell): boolean =>
  cell !== null && (cell.type === 'cut' || (cell.type === 'blob' && cell.hex.length < 2 * cell.bytes));
