import type { Cursor } from '@tidemark/protocol/cursor';
import { asTidemarkError } from '@tidemark/protocol/errors';
import type { TableCount } from '@tidemark/replica/replica-summary';
import type { RelayClient } from '../relay/relay-client.ts';
import type { Log } from './agent-api.ts';
import type { TableRow } from './contract.ts';

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
  const here = new Map(counts.map(({ name, rows }) => [name, rows]));
  const onlyHere = () => [...here].map(([name, rows]) => ({ name, rows, waiting: null, lastChangeAt: null }));
  if (!relay) return onlyHere();
  try {
    const { tables } = await relay.tables(cursor, new AbortController().signal);
    const there = tables.map(({ name, waiting, lastChangeAt }) => {
      const rows = here.get(name) ?? null;
      here.delete(name);
      return { name, rows, waiting, lastChangeAt };
    });
    return [...there, ...onlyHere()];
  } catch (error) {
    log('info', 'tables.not_asked', { code: asTidemarkError(error).code });
    return onlyHere();
  }
}
