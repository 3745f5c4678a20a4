import { z } from 'zod';

/**
 * The rule for the address of a relay, and the sentences for mistakes in one. The commands, the settings file and the
 * app's fields all use this rule, so that each accepts the addresses that the others accept.
 *
 * A relay address is an http or https URL, with an optional path for a relay behind a proxy. It must not contain
 * credentials, because addresses appear on screens and in logs.
 */

/**
 * Returns why a text is not a relay address, as a sentence without its full stop. Null when it is one. Leading and
 * trailing spaces are ignored.
 */
export function relayAddressProblem(text: string): string | null {
  const address = text.trim();
  if (address === '') return 'Enter the relay address, such as https://relay.example.com';
  if (!/^https?:\/\//i.test(address)) return 'The address must begin with http:// or https://';
  if (/\s/.test(address)) return 'The address must not contain spaces';
  if (!URL.canParse(address)) return 'This is not a valid address';
  const { username, password } = new URL(address);
  if (username !== '' || password !== '') return 'The address must not contain a user name or a password';
  // URL.search is '' for a trailing "?", which would nevertheless be sent before each path.
  if (/[?#]/.test(address)) return 'The address must not contain ? or #';
  return null;
}

/**
 * Reports whether an address is at the machine that asks: localhost, 127.0.0.0/8 or ::1. Data on its way there does not
 * cross a network. False for a text that is not an address.
 */
export function isLoopback(address: string): boolean {
  const text = address.trim();
  if (!URL.canParse(text)) return false;
  const { hostname } = new URL(text);
  return /^(localhost|\[::1\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\]|127\.\d+\.\d+\.\d+)$/.test(hostname);
}

/** Returns the server of an address as scheme, host and port. '' for a text that is not a relay address. */
export const serverOf = (address: string): string =>
  relayAddressProblem(address) === null ? new URL(address.trim()).origin : '';

/**
 * Reports whether a key that was stored for `server` belongs to the server of an address, so that it may be sent there
 * without a person's confirmation. Scheme, host and port must be equal. The one exception is the change from http to
 * https of the same host, both without a port: it adds encryption and an identity, and reaches no other machine.
 */
export function isKeyOf(server: string, address: string): boolean {
  const other = serverOf(address);
  if (server === '' || other === '') return false;
  if (server === other) return true;
  const [from, to] = [new URL(server), new URL(other)];
  return (
    from.protocol === 'http:' &&
    to.protocol === 'https:' &&
    from.hostname === to.hostname &&
    from.port === '' &&
    to.port === ''
  );
}

/**
 * Reports whether an access key and data would cross a network in plain text on their way to this address: it is a valid
 * http address of another machine.
 */
export const isUnencrypted = (address: string): boolean =>
  relayAddressProblem(address) === null && /^http:/i.test(address.trim()) && !isLoopback(address);

/** Returns the warning that a command prints about an unencrypted address, or null if there is no reason for one. */
export function unencryptedWarning(address: string): string | null {
  if (!isUnencrypted(address)) return null;
  return `--relay: http:// sends the key and all data to ${new URL(address.trim()).host} in plain text, and others on the network can read them. Use an https:// address, or ask head office for one`;
}

/** Returns a relay address in its normal form: no trailing slash, scheme and host in lower case. */
export const RelayAddress = z.string().transform((text, context) => {
  const problem = relayAddressProblem(text);
  if (problem === null) return new URL(text.trim()).href.replace(/\/+$/, '');
  context.addIssue(problem);
  return z.NEVER;
});
