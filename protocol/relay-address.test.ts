import { expect, test } from 'vitest';
import {
  isKeyOf,
  isLoopback,
  isUnencrypted,
  RelayAddress,
  relayAddressProblem,
  serverOf,
  unencryptedWarning,
} from './relay-address.ts';

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

test.each([
  'http://localhost:4600',
  'http://LOCALHOST',
  'http://127.0.0.1:4600',
  'http://127.1',
  'http://127.255.255.254',
  'http://0x7f000001',
  'http://[::1]:4600/tidemark',
  'http://[0:0:0:0:0:0:0:1]',
  'http://[::ffff:127.0.0.1]',
  ' http://localhost ',
])('plain-http: %s is this machine, so nothing crosses a network', (address) => {
  expect(isLoopback(address)).toBe(true);
  expect(isUnencrypted(address)).toBe(false);
  expect(unencryptedWarning(address)).toBeNull();
});

test.each([
  'http://relay.example',
  'HTTP://relay.example:4600',
  ' http://10.0.0.7:4600/tidemark ',
  'http://128.0.0.1',
  'http://127.0.0.1.example',
  'http://localhost.example',
  'http://notlocalhost',
  'http://[::2]',
  'http://[::ffff:10.0.0.7]',
  'http://0.0.0.0:4600',
])('plain-http: %s sends the key in plain text', (address) => {
  expect(isLoopback(address)).toBe(false);
  expect(isUnencrypted(address)).toBe(true);
  expect(unencryptedWarning(address)).toMatch(/^--relay: http:\/\/ sends the key and all data to \S+ in plain text/);
});

test.each(['https://relay.example', 'https://127.0.0.1', 'relay.example', 'http://', '', 'http://user:pw@relay'])(
  'plain-http: %j causes no warning',
  (address) => {
    expect(isUnencrypted(address)).toBe(false);
    expect(unencryptedWarning(address)).toBeNull();
  },
);

test.each([
  ['https://relay.example', 'https://relay.example/tidemark'],
  ['https://relay.example', 'HTTPS://Relay.example:443'],
  ['http://10.0.0.7:4600', ' http://10.0.0.7:4600/ '],
  ['http://relay.example', 'https://relay.example'],
])('key-to-another-server: a key stored for %s belongs to %s', (server, address) => {
  expect(serverOf(server)).toBe(server);
  expect(isKeyOf(server, address)).toBe(true);
});

test.each([
  ['https://relay.example', 'http://relay.example'],
  ['https://relay.example', 'https://relay.example:8443'],
  ['https://relay.example', 'https://relay.example.evil.test'],
  ['https://relay.example', 'https://other.example'],
  ['http://relay.example:4600', 'https://relay.example'],
  ['http://relay.example:4600', 'https://relay.example:4600'],
  ['http://relay.example', 'https://relay.example:8443'],
  ['http://relay.example', 'https://www.relay.example'],
  ['http://127.0.0.1:4600', 'http://localhost:4600'],
  ['', 'https://relay.example'],
  ['https://relay.example', ''],
  ['https://relay.example', 'https://user@relay.example'],
])('key-to-another-server: a key stored for %j does not belong to %j', (server, address) => {
  expect(isKeyOf(server, address)).toBe(false);
});
