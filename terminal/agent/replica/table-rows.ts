import type { Cursor } from '@tidemark/protocol/cursor';
import { asTidemarkError } from '@tidemark/protocol/errors';
import type { SetAside } from '@tidemark/protocol/trouble';
import type { TableCount } from '@tidemark/replica/replica-summary';
import type { RelayClient } from '../../relay/relay-client.ts';
import type { Log } from '../agent-api.ts';
import type { TableRow } from '../contract.ts';

/**
 * Joins the tables of the replica and of the relay by name. When the relay did not answer, returns only those of the
 * replica.
 */
export async function tableRows(
  counts: TableCount[],
  relay: RelayClient | null,
  cursor: Cursor | null,
  log: Log,
): Promise<TableRow[]> {
  const here = new Map(counts.map((table) => [table.name, table]));
  const onlyHere = () =>
    [...here.values()].map(({ name, rows, setAside }) => {
      return { name, rows, waiting: null, lastChangeAt: null, setAside: markOf(setAside) };
    });
  if (!relay) return onlyHere();
  try {
    const { tables } = await relay.tables(cursor, new AbortController().signal);
    const there = tables.map(({ name, waiting, lastChangeAt, setAside }) => {
      const own = here.get(name);
      here.delete(name);
      // Until the mark arrives with the rows, the rows here do not have it.
      const mark = markOf(own ? own.setAside : setAside);
      return { name, rows: own?.rows ?? null, waiting, lastChangeAt, setAside: mark };
    });
    return [...there, ...onlyHere()];
  } catch (error) {
    log('info', 'tables.not_asked', { code: asTidemarkError(error).code });
    return onlyHere();
  }
}

const markOf = (mark: SetAside | undefined): TableRow['setAside'] =>
  mark ? { reason: mark.reason, asOf: Date.parse(mark.asOf) } : null;
