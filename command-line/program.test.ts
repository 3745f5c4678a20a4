import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

const PROGRAM = new URL('./program.ts', import.meta.url).href;
const ERRORS = new URL('../protocol/errors.ts', import.meta.url).href;

/** Starts a program whose subcommand `work` runs `body`, and waits until the program has printed `started`. */
async function startProgram(body: string, { graceMs = null as number | null, args = ['work'] } = {}) {
  const script = `
    import { aborted, runProgram, subcommand } from '${PROGRAM}';
    import { TidemarkError } from '${ERRORS}';
    const alive = setInterval(() => {}, 1000);
    await runProgram({ name: 'p', description: 'd', version: '1', graceMs: ${graceMs} }, (program, stop) => {
      subcommand(program, 'work', 'w').option('--json').action(async () => {
        console.log('started');
        ${body}
        console.log('finished');
      });
    });
    clearInterval(alive);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, '--', ...args]);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const started = new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  const end = once(child, 'close').then(([code]) => ({ code: code as number, output }));
  await Promise.race([started, end]);
  return { child, end };
}

test.skipIf(process.platform === 'win32')(
  'SIGTERM and SIGINT stop the work and wait until it has ended',
  async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const { child, end } = await startProgram('await aborted(stop); await new Promise((r) => setTimeout(r, 50));');
      child.kill(signal);
      expect(await end).toEqual({ code: 0, output: 'started\nfinished\n' });
    }
  },
  120_000,
);

test.skipIf(process.platform === 'win32')(
  'work that fails after a signal keeps its exit code and its error line',
  async () => {
    const { child, end } = await startProgram("await aborted(stop); throw new TidemarkError('cancelled');");
    child.kill('SIGTERM');
    const { code, output } = await end;
    expect(code).toBe(1);
    expect(output).toContain('cancelled: ');
  },
  120_000,
);

test.skipIf(process.platform === 'win32')(
  'a second signal ends a program whose work does not stop',
  async () => {
    const { child, end } = await startProgram(
      "stop.onabort = () => console.log('stopping'); await new Promise(() => {});",
    );
    const stopping = once(child.stdout, 'data');
    child.kill('SIGTERM');
    await stopping;
    child.kill('SIGTERM');
    expect((await end).code).toBe(1);
  },
  120_000,
);

test.skipIf(process.platform === 'win32')(
  'ends work that does not stop within the grace period',
  async () => {
    const { child, end } = await startProgram('await new Promise(() => {});', { graceMs: 100 });
    child.kill('SIGTERM');
    expect(await end).toEqual({ code: 1, output: 'started\np: did not stop within 0.1 s\n' });
  },
  120_000,
);

test('prints an uncaught error and ends the program', async () => {
  const { end } = await startProgram(
    "setImmediate(() => { throw new TypeError('a fault') }); await new Promise(() => {});",
  );
  const { code, output } = await end;
  expect(code).toBe(1);
  expect(output).toMatch(/internal: .*a fault/);
}, 120_000);

test('wrong usage exits with code 2, and prints a problem document with --json', async () => {
  const { end } = await startProgram('', { args: ['work', '--json', '--nonsense'] });
  const { code, output } = await end;
  expect(code).toBe(2);
  expect(JSON.parse(output)).toMatchObject({ code: 'usage' });
}, 120_000);
