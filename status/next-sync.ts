import type { RelayStatus } from '@tidemark/protocol/api';
import type { Facts } from './facts.ts';

/** The next sync as the facts show it: its plan, and the bytes that it downloads. */

type Known = Pick<Facts, 'probe' | 'waiting' | 'replica'>;

/**
 * Returns how the relay brings this PC to the head. Null when its last answer was about another cursor, or when its
 * plan has been carried out since.
 */
export function planOf({ probe, waiting, replica: { cursor } }: Known): RelayStatus['plan'] | null {
  if (probe === null || probe.for?.epoch !== cursor?.epoch || probe.for?.seq !== cursor?.seq) return null;
  const { plan, behind } = probe.status;
  // A difference, or a copy at the same seq, leaves the cursor unchanged. The relay sends no backlog with such a plan,
  // so a known backlog is newer than the execution of the plan.
  const carriedOut = (plan.by === 'difference' || plan.by === 'snapshot') && behind === null && waiting !== null;
  return carriedOut ? null : plan;
}

/**
 * Whether the replica holds all rows of its scopes up to the head of the relay's last answer. Its cursor may be below
 * the head when the transactions in between belong to other scopes.
 */
export function caughtUp(known: Known): boolean {
  const { probe, waiting, replica } = known;
  const head = probe?.status.head ?? null;
  if (replica.cursor === null || head === null || replica.cursor.epoch !== head.epoch) return false;
  const by = planOf(known)?.by ?? 'pages';
  if (by === 'difference' || by === 'snapshot') return false;
  if (replica.cursor.seq === head.seq) return true;
  if (probe?.for?.epoch !== head.epoch || replica.cursor.seq > head.seq) return false;
  return waiting !== null && waiting.transactions === 0 && waiting.changes === 0;
}

/**
 * Returns approximately how many bytes the next sync downloads: the relay's plan, minus the pages applied since. Null:
 * nothing is waiting, or the size is unknown.
 */
export function bytesToDownload(known: Known): number | null {
  const { probe, waiting } = known;
  const plan = planOf(known);
  if (plan?.by === 'snapshot' || plan?.by === 'difference') return nullIfZero(plan.bytes);
  if (waiting === null || waiting.transactions + waiting.changes === 0)
    return plan?.by === 'pages' && waiting === null ? nullIfZero(plan.bytes) : null;
  const planned = probe?.status.plan.by === 'pages' ? probe.status.plan.bytes : 0;
  const uncompressed = probe?.status.behind?.bytes ?? 0;
  // The backlog is the size before compression, and the plan is the size after it.
  const share = planned > 0 && uncompressed > 0 ? Math.min(1, waiting.bytes / uncompressed) : null;
  return nullIfZero(share === null ? waiting.bytes : Math.round(planned * share));
}

const nullIfZero = (bytes: number): number | null => (bytes > 0 ? bytes : null);
