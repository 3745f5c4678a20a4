import { expect, test } from 'vitest';
import { RelayAddress, relayAddressProblem } from './relay-address.ts';

test.each([
  ['', 'Enter the relay address'],
  ['   ', 'Enter the relay address'],
  ['relay.example.com', 'begin with http:// or https://'],
  ['ftp://relay', 'begin with http:// or https://'],
  ['relay:4600', 'begin with http:// or https://'],
  ['https://a b', 'must not contain spaces'],
  ['https://', 'not a valid address'],
  ['https://relay:99999', 'not a valid address'],
  ['https://user:pw@relay', 'user name or a password'],
  ['https://user@relay', 'user name or a password'],
  ['https://relay?token=x', '? or #'],
  ['https://relay/?', '? or #'],
  ['https://relay/#top', '? or #'],
])('rejects %j with the reason', (text, words) => {
  expect(relayAddressProblem(text)).toContain(words);
  const parsed = RelayAddress.safeParse(text);
  expect(parsed.success ? [] : parsed.error.issues.map(({ message }) => message)).toEqual([relayAddressProblem(text)]);
});

test.each([
  ['http://127.0.0.1:4600', 'http://127.0.0.1:4600'],
  ['http://[::1]:4600/', 'http://[::1]:4600'],
  [' https://relay.example.com/tidemark/ ', 'https://relay.example.com/tidemark'],
  ['HTTPS://RELAY', 'https://relay'],
  ['https://relay///', 'https://relay'],
])('accepts %j and normalises it', (text, address) => {
  expect(relayAddressProblem(text)).toBeNull();
  expect(RelayAddress.parse(text)).toBe(address);
  expect(RelayAddress.parse(address)).toBe(address);
});
