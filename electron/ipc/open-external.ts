import { shell } from 'electron';
import { parseUrl } from './parse-url.ts';

/** Hosts that the app may open in the browser. None yet: no screen has an external link. */
const HOSTS: ReadonlySet<string> = new Set();

/** Whether `address` may be opened in the browser: https, without credentials, and of a listed host. */
export function mayOpen(address: string, hosts: ReadonlySet<string> = HOSTS): boolean {
  const url = parseUrl(address);
  return url !== null && url.protocol === 'https:' && url.username === '' && url.password === '' && hosts.has(url.host);
}

/** Opens an address in the browser, if allowed; returns whether it was. The only use of shell.openExternal. */
export async function openExternal(address: string): Promise<boolean> {
  if (!mayOpen(address)) return false;
  await shell.openExternal(address);
  return true;
}
