import { TidemarkError } from '@tidemark/protocol/errors';
import { CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { exitAfter } from './exit.ts';

test.each([
  [new TidemarkError('usage', { detail: 'no' }), 2],
  [new TidemarkError('config_invalid', { detail: 'no' }), 78],
  [new TidemarkError('relay_busy'), 1],
  [new Error('a fault'), 1],
])('%s has exit code %i', (thrown, exitCode) => {
  expect(exitAfter(thrown, false).exitCode).toBe(exitCode);
});

test('prints the code, the sentence and the remedy in one line', () => {
  expect(exitAfter(new TidemarkError('relay_busy'), false).line).toMatch(/^relay_busy: .+\. .+\.$/);
});

test('prints a problem document with --json', () => {
  expect(JSON.parse(exitAfter(new TidemarkError('relay_busy'), true).line ?? '')).toMatchObject({
    code: 'relay_busy',
    retry: true,
  });
});

test("treats the parser's errors as wrong usage, but --help and --version as success", () => {
  const missing = new CommanderError(1, 'commander.missingMandatoryOptionValue', "error: required option '--db'");
  expect(exitAfter(missing, false)).toMatchObject({ exitCode: 2 });
  expect(exitAfter(missing, false).line).toMatch(/^usage: .*required option '--db'/);
  expect(exitAfter(new CommanderError(0, 'commander.help', '(outputHelp)'), false)).toEqual({
    line: null,
    exitCode: 0,
  });
});

test.each(['postgres://tidemark:c4nary@db/shop', 'postgres:/tidemark:c4nary#@db', 'https://c4nary@relay'])(
  'a usage error does not repeat the address %s',
  (address) => {
    const unknown = new CommanderError(1, 'commander.unknownCommand', `error: unknown command '${address}'`);
    for (const json of [false, true]) {
      expect(exitAfter(unknown, json).line).toContain('unknown command');
      expect(exitAfter(unknown, json).line).not.toContain('c4nary');
    }
  },
);

test('a usage error shows control characters of an argument as escape sequences, in one line', () => {
  const unknown = new CommanderError(1, 'commander.unknownOption', "error: unknown option '--\u001b[2J\n\u202ex'");
  expect(exitAfter(unknown, false).line).toContain("unknown option '--\\u001b[2J\\u000a\\u202ex'");
  const near = new CommanderError(1, 'commander.unknownOption', "error: unknown option '--st'\n(Did you mean --set?)");
  expect(exitAfter(near, false).line).toContain("unknown option '--st' (Did you mean --set?)");
});
