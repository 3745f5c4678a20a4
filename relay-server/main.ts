import { readFileSync } from 'node:fs';
import { aborted, type ProgramOptions, runProgram } from '@tidemark/command-line/program';
import type { Command } from 'commander';
import { pino } from 'pino';
import { command } from './config/config-command.ts';
import { PRIVATE_UMASK } from './config/private-data.ts';
import { readConfig } from './config/relay-config.ts';
import { startRelay } from './relay.ts';
import { addTokenCommands } from './tokens/token-commands.ts';

/** `tidemark-relay`: reads the configuration, starts the relay, and stops it when the process receives a signal. */

const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')) as { version: string };

async function serve(file: string, stop: AbortSignal): Promise<void> {
  const config = readConfig(file);
  const logger = pino({ base: { program: 'tidemark-relay' } });
  const relay = await startRelay(config, {
    now: Date.now,
    version,
    log: (event, fields) => logger.info({ event, ...fields }),
  });
  logger.info({ event: 'listening', url: relay.url, data: config.data, feeds: Object.keys(config.feeds) });
  await aborted(stop);
  await relay.stop();
  logger.info({ event: 'stopped' });
}

export const PROGRAM: ProgramOptions = {
  name: 'tidemark-relay',
  description: 'Keeps the increments of feeds and answers terminals.',
  version,
  graceMs: 15_000,
};

export function define(program: Command, stop: AbortSignal): void {
  command(program, 'serve', 'Run the relay until it is stopped.').action(({ config }: { config: string }) =>
    serve(config, stop),
  );
  addTokenCommands(program);
}

if (import.meta.main) {
  process.umask(PRIVATE_UMASK);
  await runProgram(PROGRAM, define);
}
