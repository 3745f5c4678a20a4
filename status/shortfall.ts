import type { Status, StatusCode } from './status.ts';

/**
 * Whether the data on a PC is less than head office's although this PC has done all it can. Commands then end with exit
 * code 3 instead of 0.
 */

/** The states that only head office can end. As information (`relay-behind` of an unknown lag), they do not count. */
const BEYOND_THIS_PC: ReadonlySet<StatusCode> = new Set(['feed-fault', 'relay-behind', 'set-aside']);

/** Returns the reasons why the data falls short, as sentences. Empty when it does not. */
export function shortfallOf({ code, severity, headline, detail, attention }: Status): string[] {
  const main = { code, severity, text: `${headline}. ${detail}` };
  return [main, ...attention]
    .filter((each) => BEYOND_THIS_PC.has(each.code) && each.severity === 'warn')
    .map(({ text }) => text);
}
