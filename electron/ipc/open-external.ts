import { shell } from 'electron';
import { parseUrl } from './parse-url.ts';

/** Hosts that the app may open in the browser. The set is empty because no screen has an external link. */
const HOSTS: ReadonlySet<string> = new Set();

/** Reports whether the browser may open `address`: it must use https, have no credentials, and name a listed host. */
export function mayOpen(address: string, hosts: ReadonlySet<string> = HOSTS): boolean {
  const url = parseUrl(address);
  return url !== null && url.protocol === 'https:' && url.username === '' && url.password === '' && hosts.has(url.host);
}

/**
 * Opens an address in the browser if it is allowed, and returns whether it was. No other code calls shell.openExternal.
 */
export async function openExternal(address: string): Promise<boolean> {
  if (!mayOpen(address)) return false;
  await shell.openExternal(address);
  return true;
}
