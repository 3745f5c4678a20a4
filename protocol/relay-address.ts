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

/** Returns a relay address in its normal form: no trailing slash, scheme and host in lower case. */
export const RelayAddress = z.string().transform((text, context) => {
  const problem = relayAddressProblem(text);
  if (problem === null) return new URL(text.trim()).href.replace(/\/+$/, '');
  context.addIssue(problem);
  return z.NEVER;
});
