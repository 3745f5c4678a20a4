import path from 'node:path';
import { commandsPage } from './commands-page.ts';
import { errorsPage } from './errors-page.ts';
import { metricsPage } from './metrics-page.ts';
import { relayYamlPage } from './relay-yaml-page.ts';
import { replicaFilePage } from './replica-file-page.ts';

/** The generated pages of docs/, by file name. A test fails when a file differs from its page. */
export const PAGES: Record<string, () => string | Promise<string>> = {
  'docs/errors.md': errorsPage,
  'docs/reference/commands.md': commandsPage,
  'docs/reference/relay-yaml.md': relayYamlPage,
  'docs/reference/metrics.md': metricsPage,
  'docs/reference/replica-file.md': replicaFilePage,
};

export const ROOT = path.resolve(import.meta.dirname, '../..');
