import { isIP } from 'node:net';
import type { Request } from 'express';

/**
 * Returns the address of the client of a request, as the trusted proxies of relay.yaml report it. An entry of
 * X-Forwarded-For that is not an address counts as `unknown`, so that no caller chooses a text of the log.
 */
export function clientAddress(request: Request): string {
  const named = request.ip ?? '';
  // Some proxies append the port.
  const address = /^\[(.*)\](?::\d+)?$/.exec(named)?.[1] ?? /^([\d.]+):\d+$/.exec(named)?.[1] ?? named;
  return isIP(address) === 0 ? 'unknown' : address.replace(/^::ffff:(?=[\d.]+$)/, '');
}
