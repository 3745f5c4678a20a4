import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionAnswer } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import type { Log } from '../source.ts';
import { literal, rows } from './connection.ts';
import { fromPosition, type Lsn, parseLsn } from './lsn.ts';

/** A slot waits for the transactions that are open at the master; after this long we say so. */
const PATIENCE_MS = 5_000;
/** The master may take this long to see that our last connection is gone. */
const FREED_MS = 5_000;

export interface Slot {
  /** What was committed before is in the snapshot, what is committed from here on is in the stream. */
  start: Lsn;
  /** Good until the connection that made it does something else. */
  snapshot: string;
}

/** Makes a slot on a replication connection, with the snapshot that it begins at. A temporary one ends with the connection. */
export async function makeSlot(client: pg.Client, name: string, temporary: boolean, log: Log): Promise<Slot> {
  const waiting = setTimeout(() => log('waiting-for-open-transactions', { slot: name }), PATIENCE_MS);
  try {
    const answer = await client.query(
      `CREATE_REPLICATION_SLOT ${name} ${temporary ? 'TEMPORARY ' : ''}LOGICAL pgoutput EXPORT_SNAPSHOT`,
    );
    const [made] = answer.rows as { consistent_point: string; snapshot_name: string }[];
    if (!made) throw new TidemarkError('source_lost', { detail: 'the slot was not made' });
    return { start: parseLsn(made.consistent_point), snapshot: made.snapshot_name };
  } finally {
    clearTimeout(waiting);
  }
}

/** Drops the slot if there is one. Throws slot_in_use. */
export async function dropSlot(client: pg.Client, name: string): Promise<void> {
  const [old] = await rows(client, `SELECT active_pid FROM pg_replication_slots WHERE slot_name = ${literal(name)}`);
  if (old?.active_pid) throw new TidemarkError('slot_in_use', { slot: name });
  if (old) await client.query(`SELECT pg_drop_replication_slot(${literal(name)})`);
}

/** Waits a little for the slot to be free. */
export async function freed(client: pg.Client, name: string): Promise<void> {
  const end = Date.now() + FREED_MS;
  for (;;) {
    const [active] = await rows(
      client,
      `SELECT 1 FROM pg_replication_slots WHERE slot_name = ${literal(name)} AND active_pid IS NOT NULL`,
    );
    if (!active || Date.now() > end) return;
    await sleep(50);
  }
}

/** The relay had confirmed more than it has: what it told terminals since then is lost. */
export const SET_BACK = 'the slot is ahead of the relay, which was set back';

/** Why the stream cannot go on from where the relay is; null when it can. */
export async function whyNotFrom(
  client: pg.Client,
  name: string,
  { position: durable, head }: Pick<SessionAnswer, 'position' | 'head'>,
): Promise<string | null> {
  const [slot] = await rows(
    client,
    `SELECT confirmed_flush_lsn AS confirmed, wal_status AS status, database, database = current_database() AS here, pg_current_wal_flush_lsn() AS written
     FROM pg_replication_slots WHERE slot_name = ${literal(name)}`,
  );
  // Slots are the cluster's: one of another database is another feed's, and dropping it would end that feed.
  if (slot && slot.here !== 't') {
    const detail = `The slot ${name} belongs to the database ${slot.database}. Give this feed another name, or, if that slot is not needed, run there: SELECT pg_drop_replication_slot('${name}');`;
    throw new TidemarkError('source_not_ready', { detail });
  }
  if (durable === null)
    return head === 0
      ? 'the relay has no data'
      : 'the relay has data of another log, or of a base that was not finished';
  if (!slot) return 'the slot is gone';
  if (slot.status === 'lost') return 'the master dropped the log that the slot needs';
  const position = fromPosition(durable);
  if (slot.confirmed && parseLsn(slot.confirmed) > position + 1n) return SET_BACK;
  if (slot.written && parseLsn(slot.written) < position) return 'the master was set back';
  return null;
}
