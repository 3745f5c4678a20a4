import { formatCursor } from '@tidemark/protocol/cursor';
import { TimeText } from '@tidemark/protocol/time';
import { type Facts, FactsJson } from '@tidemark/status/facts';
import type { Status } from '@tidemark/status/status';

/** Formats the status and its facts as text for support. Facts contain no secrets. */
export function detailsText(status: Status, facts: Facts): string {
  const fault = facts.replica.fault ?? facts.lastRun?.fault ?? null;
  const lines = [
    `Tidemark: ${status.headline}`,
    status.detail,
    `Status: ${status.code} (${status.severity})${status.since === null ? '' : ` since ${TimeText.encode(status.since)}`}`,
    `Position: ${facts.replica.cursor ? formatCursor(facts.replica.cursor) : 'none'}`,
    `Head of the server: ${facts.probe?.status.head ? formatCursor(facts.probe.status.head) : 'not known'}${facts.probe ? ` (asked ${TimeText.encode(facts.probe.at)})` : ''}`,
    ...(fault
      ? [
          `Error: ${fault.code}${fault.requestId ? `, request ${fault.requestId}` : ''}`,
          ...(fault.detail ? [fault.detail] : []),
        ]
      : []),
    ...status.attention.map(({ code, text }) => `Also: ${code}: ${text}`),
    '',
    JSON.stringify(FactsJson.encode(facts), null, 2),
  ];
  return lines.join('\n');
}
