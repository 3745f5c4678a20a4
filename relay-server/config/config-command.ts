import { subcommand } from '@tidemark/command-line/program';
import type { Command } from 'commander';

/** Adds a subcommand with the options that all subcommands share. */
export const command = (parent: Command, name: string, description: string) =>
  subcommand(parent, name, description)
    .requiredOption('--config <file>', 'path of relay.yaml')
    .option('--json', 'print results and errors as JSON');
