import type { Command } from 'commander';

/** Adds a command with what all of them take. */
export const command = (parent: Command, name: string, description: string) =>
  parent
    .command(name)
    .description(description)
    .requiredOption('--config <file>', 'relay.yaml')
    .option('--json', 'for machines')
    .configureOutput({ writeErr: () => undefined })
    .exitOverride();
