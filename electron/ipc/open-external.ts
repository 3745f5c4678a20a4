import { shell } from 'electron';
import { parseUrl } from './parse-url.ts';

/** Hosts that the app may open in the person's browser. There are none yet: no screen has a link that leads out. */
const HOSTS: ReadonlySet<string> = new Set();

/** Whether `address` may be opened outside the app: https, no sign-in in it, a host on the list. */
export function mayOpen(address: string, hosts: ReadonlySet<string> = HOSTS): boolean {
  const url = parseUrl(address);
  return url !== null && url.protocol === 'https:' && url.username === '' && url.password === '' && hosts.has(url.host);
}

/** The only place that uses shell.openExternal. Returns whether it was allowed. */
export async function openExternal(address: string): Promise<boolean> {
  if (!mayOpen(address)) return false;
  await shell.openExternal(address);
  return true;
}
