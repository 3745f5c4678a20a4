import { metricsText } from '@tidemark/relay-server/http/operations/metrics';
import { generatedFrom, page, sentence, table } from './markdown.ts';

/** Generates docs/reference/metrics.md, which lists every metric, from the registry that serves `/metrics`. */
export async function metricsPage(): Promise<string> {
  const text = await metricsText({ feeds: new Map(), work: { queues: [] }, now: Date.now });
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
  const rows = [...text.matchAll(/^# HELP (\S+) (.+)$/gm)].map(([, name = '', help = '']) => [
    `\`${name}\``,
    types.get(name) ?? '',
    sentence(help),
  ]);
  return page('Metrics', [
    'The relay serves these metrics at `GET /metrics`, in the text format of Prometheus. Those of queues have the label `queue` (snapshots, compactions, digests or pages); the others have the label `feed`. [Operation](../operation.md#monitoring) names the alarms to set.',
    generatedFrom('`relay-server/http/operations/metrics.ts`'),
    table(['metric', 'type', 'meaning'], rows),
  ]);
}
