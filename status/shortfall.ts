import type { Facts } from './facts.ts';
import { FORMAT, type Format } from './format.ts';
import { read } from './reading.ts';
import { relayBehind } from './states/freshness.ts';
import { feedFault, tablesSetAside } from './states/head-office.ts';

/**
 * Whether the data on a PC falls short of head office's although this PC has done all it can (S13). Commands then end with
 * exit code 3 instead of 0.
 *
 * The data falls short if the feed has a fault, if the source lag is not known to be below its bound, or if tables are in
 * trouble. Silence of the feed below the bound does not count.
 */

/** Returns the reasons why the data falls short, as sentences. Empty when it does not. */
export function shortfallOf(facts: Facts, now: number, format: Format = FORMAT): string[] {
  const reading = read(facts, now, format);
  return [feedFault(reading) ?? relayBehind(reading), tablesSetAside(reading)]
    .filter((state) => state?.severity === 'warn')
    .map((state) => `${state?.headline}. ${state?.detail}`);
}
