/**
 * Converts log sequence numbers to and from wire positions. A position names the last byte of the log that was read, so
 * the LSN to resume from is the position plus 1.
 */

/** An LSN as a 64-bit number. */
export type Lsn = bigint;

/** Parses an LSN such as `16/B374D848`. */
export function parseLsn(text: string): Lsn {
  const [, high, low] = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text) ?? [];
  if (high === undefined || low === undefined) throw new Error(`${text} is not an LSN`);
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

/** Converts an LSN to a wire position, whose text sorts in log order. */
export function toPosition(lsn: Lsn): string {
  return lsn.toString(16).toUpperCase().padStart(16, '0');
}

export function fromPosition(position: string): Lsn {
  return BigInt(`0x${position}`);
}
