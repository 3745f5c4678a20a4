import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionAnswer } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import type { Log, Obstacle } from '../../source.ts';
import { fromPosition, type Lsn, parseLsn } from './lsn.ts';
import { literal, rows } from './sql.ts';

/**
 * Manages the replication slot, which makes the master keep its log from the last confirmed position. An unread slot
 * fills the master's disk, so the feed drops a slot that it cannot use.
 */

/** Creating a slot waits for the open transactions of the master. The feed logs a wait longer than this, in ms. */
const PATIENCE_MS = 5_000;
/** How long the master may take to notice that the feed's previous connection is gone, in ms. */
const RELEASE_MS = 5_000;

export interface Slot {
  /** The snapshot contains transactions committed before this LSN; the stream contains the others. */
  start: Lsn;
  /** Name of the exported snapshot. It is valid until the connection that created it runs another command. */
  snapshot: string;
}

/**
 * Creates a slot on a replication connection, and a snapshot at its start. A temporary slot exists as long as the
 * connection.
 */
export async function createSlot(client: pg.Client, name: string, temporary: boolean, log: Log): Promise<Slot> {
  const waiting = setTimeout(() => log('waiting-for-open-transactions', { slot: name }), PATIENCE_MS);
  try {
    const answer = await client.query(
      `CREATE_REPLICATION_SLOT ${name} ${temporary ? 'TEMPORARY ' : ''}LOGICAL pgoutput EXPORT_SNAPSHOT`,
    );
    const [created] = answer.rows as { consistent_point: string; snapshot_name: string }[];
    if (!created) throw new TidemarkError('source_lost', { detail: 'the slot was not created' });
    return { start: parseLsn(created.consistent_point), snapshot: created.snapshot_name };
  } finally {
    clearTimeout(waiting);
  }
}

/**
 * Returns the problem that will prevent the creation of the slot: all slots of the master are in use, or another database
 * has one of this name. Empty if there is none.
 */
export async function slotProblem(client: pg.Client, name: string): Promise<string[]> {
  const [state] = await rows(
    client,
    `SELECT count(*) AS used, count(*) >= current_setting('max_replication_slots')::int AS full, max(database) FILTER (WHERE slot_name = ${literal(name)}) AS database,
       bool_or(slot_name = ${literal(name)}) AS present, current_database() AS here
     FROM pg_replication_slots`,
  );
  if (state?.present === 't') return state.database === state.here ? [] : [otherDatabase(name, state.database ?? '')];
  // max_replication_slots = 0 has its own message.
  return state?.full === 't' && state.used !== '0' ? [await noneLeft(client)] : [];
}

const otherDatabase = (name: string, database: string) =>
  `The slot ${name} belongs to the database ${database}. Give this feed another name. Or, if that slot is not needed, run there: SELECT pg_drop_replication_slot('${name}');`;

/** Returns the error for a master whose slots are all in use, with the statements that free or add one. */
export async function noSlotLeft(client: pg.Client): Promise<TidemarkError> {
  return new TidemarkError('source_not_ready', { detail: `- ${await noneLeft(client)}` });
}

async function noneLeft(client: pg.Client): Promise<string> {
  const slots = await rows(
    client,
    `SELECT slot_name AS name, active, current_setting('max_replication_slots')::int + 10 AS more FROM pg_replication_slots ORDER BY active, slot_name`,
  );
  const idle = slots.filter(({ active }) => active === 'f').map(({ name }) => name);
  const drop =
    idle.length > 0 ? ` If nobody needs one of ${idle.join(', ')}, run: SELECT pg_drop_replication_slot('…');` : '';
  return `All ${slots.length} replication slots are in use.${drop} Or run: ALTER SYSTEM SET max_replication_slots = ${slots[0]?.more ?? 10}; and restart Postgres.`;
}

/** Drops the slot if it exists. Throws slot_in_use. */
export async function dropSlot(client: pg.Client, name: string): Promise<void> {
  const [old] = await rows(client, `SELECT active_pid FROM pg_replication_slots WHERE slot_name = ${literal(name)}`);
  if (old?.active_pid) throw new TidemarkError('slot_in_use', { slot: name });
  if (old) await client.query(`SELECT pg_drop_replication_slot(${literal(name)})`);
}

/** Waits until no connection uses the slot, but at most {@link RELEASE_MS}. */
export async function slotReleased(client: pg.Client, name: string): Promise<void> {
  const end = Date.now() + RELEASE_MS;
  for (;;) {
    const [active] = await rows(
      client,
      `SELECT 1 FROM pg_replication_slots WHERE slot_name = ${literal(name)} AND active_pid IS NOT NULL`,
    );
    if (!active || Date.now() > end) return;
    await sleep(50);
  }
}

/** Returns why the stream cannot resume at the relay's position, or null if it can. Throws source_not_ready. */
export async function slotObstacle(
  client: pg.Client,
  name: string,
  { position, head }: Pick<SessionAnswer, 'position' | 'head'>,
): Promise<Obstacle | null> {
  const [slot] = await rows(
    client,
    `SELECT confirmed_flush_lsn AS confirmed, wal_status AS status, database, database = current_database() AS here, pg_current_wal_flush_lsn() AS written
     FROM pg_replication_slots WHERE slot_name = ${literal(name)}`,
  );
  // Slots belong to the cluster. A slot for another database belongs to another feed, which would fail without it.
  if (slot && slot.here !== 't') {
    throw new TidemarkError('source_not_ready', { detail: `- ${otherDatabase(name, slot.database ?? '')}` });
  }
  const obstacle = (why: string): Obstacle => ({ why, setBack: false });
  if (position === null)
    return obstacle(
      head === 0
        ? 'the relay has no data'
        : 'the relay has data of another log, or of a base copy that was not finished',
    );
  if (!slot) return obstacle('the slot is gone');
  if (slot.status === 'lost') return obstacle('the master dropped the log that the slot needs');
  const lsn = fromPosition(position);
  if (slot.confirmed && parseLsn(slot.confirmed) > lsn + 1n)
    return { why: 'the slot is ahead of the relay, which was set back', setBack: true };
  if (slot.written && parseLsn(slot.written) < lsn) return obstacle('the master was set back');
  return null;
}
