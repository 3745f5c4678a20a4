import { readFileSync } from 'node:fs';
import { endOf } from '@tidemark/command-line/command';
import closeWithGrace from 'close-with-grace';
import { Command } from 'commander';
import { pino } from 'pino';
import { command } from './config/config-command.ts';
import { readConfig } from './config/relay-config.ts';
import { startRelay } from './relay.ts';
import { addTokenCommands } from './tokens/token-commands.ts';

const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')) as { version: string };

async function serve({ config: file }: { config: string }): Promise<void> {
  const config = readConfig(file);
  const logger = pino({ base: { program: 'tidemark-relay' } });
  const relay = await startRelay(config, {
    now: Date.now,
    version,
    log: (event, fields) => logger.info({ event, ...fields }),
  });
  closeWithGrace(
    { delay: 15_000, logger: { error: (error: unknown) => logger.error({ event: 'stopping', error: String(error) }) } },
    async () => {
      await relay.stop();
      logger.info({ event: 'stopped' });
    },
  );
  logger.info({ event: 'listening', url: relay.url, data: config.data, feeds: Object.keys(config.feeds) });
}

const program = new Command('tidemark-relay')
  .description('Keeps the increments of feeds and answers terminals.')
  .version(version);
program.configureOutput({ writeErr: () => undefined }).exitOverride();
command(program, 'serve', 'Run the relay.').action(serve);
addTokenCommands(program);

try {
  await program.parseAsync();
} catch (thrown) {
  const { line, exitCode } = endOf(thrown, process.argv.includes('--json'));
  if (line !== null) console.error(line);
  process.exitCode = exitCode;
}
