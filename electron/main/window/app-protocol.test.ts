import path from 'node:path';
import { expect, test, vi } from 'vitest';

vi.mock('electron', () => ({ protocol: {}, app: {}, shell: {} }));
const { fileOf } = await import('./app-protocol.ts');
const { mayOpen } = await import('../../ipc/open-external.ts');
const { cspHeader } = await import('./csp.ts');

const FOLDER = path.resolve('/srv/page');

test('finds the page and its files', () => {
  expect(fileOf('app://tidemark/', FOLDER)).toEqual({
    path: path.join(FOLDER, 'index.html'),
    type: 'text/html; charset=utf-8',
  });
  expect(fileOf('app://tidemark/assets/a.js?x#y', FOLDER)?.path).toBe(path.join(FOLDER, 'assets/a.js'));
});

test('dot segments normalised by the URL parser stay inside the root', () => {
  expect(fileOf('app://tidemark/../secret.js', FOLDER)?.path).toBe(path.join(FOLDER, 'secret.js'));
  expect(fileOf('app://tidemark/%2e%2e/secret.js', FOLDER)?.path).toBe(path.join(FOLDER, 'secret.js'));
});

test.each([
  ['a path outside the folder, percent-encoded', 'app://tidemark/%2e%2e%2fsecret.js'],
  ['a path outside the folder, by backslash', 'app://tidemark/..%5csecret.js'],
  ['a sibling folder with the same prefix', 'app://tidemark/..%2fpage2/a.js'],
  ['another host', 'app://other/index.html'],
  ['another scheme', 'https://tidemark/index.html'],
  ['a null byte', 'app://tidemark/index.html%00.js'],
  ['a broken escape', 'app://tidemark/%E0%A4%A.js'],
  ['a file type that no page needs', 'app://tidemark/settings.sqlite'],
  ['a folder', 'app://tidemark/assets'],
])('refuses %s', (_, address) => {
  expect(fileOf(address, FOLDER)).toBeNull();
});

test("the content security policy allows only the app's scripts, and no eval", () => {
  expect(cspHeader()).toBe(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
  );
  expect(cspHeader()).not.toContain('unsafe-eval');
});

test.each([
  'http://help.example/',
  'https://user@help.example/',
  'https://help.example.evil/',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'help',
])('does not open %s in the browser', (address) => {
  expect(mayOpen(address, new Set(['help.example']))).toBe(false);
});

test('opens an https address of a listed host in the browser', () => {
  expect(mayOpen('https://help.example/a', new Set(['help.example']))).toBe(true);
});
