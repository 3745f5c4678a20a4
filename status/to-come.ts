import type { RelayStatus } from '@tidemark/protocol/api';
import type { Facts } from './facts.ts';

type Known = Pick<Facts, 'probe' | 'waiting' | 'replica'>;

/** What the relay says brings this PC to the head; null when its last answer was about another cursor, or was followed. */
export function planOf({ probe, waiting, replica: { cursor } }: Known): RelayStatus['plan'] | null {
  if (probe === null || probe.for?.epoch !== cursor?.epoch || probe.for?.seq !== cursor?.seq) return null;
  const { plan, behind } = probe.status;
  // What brings other data at the same cursor leaves the cursor as it was; that something is counted now tells of it.
  const followed = (plan.by === 'difference' || plan.by === 'snapshot') && behind === null && waiting !== null;
  return followed ? null : plan;
}

/**
 * Whether the replica holds all of its scopes up to the head of the last answer. Its cursor may stand below the head:
 * what lies between is then of other scopes.
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
 * About how many bytes the next sync brings over the network: what the relay planned, less what was applied since.
 * Null: nothing is due, or it is not known.
 */
export function bytesToCome(known: Known): number | null {
  const { probe, waiting } = known;
  const plan = planOf(known);
  if (plan?.by === 'snapshot' || plan?.by === 'difference') return some(plan.bytes);
  if (waiting === null || waiting.transactions + waiting.changes === 0)
    return plan?.by === 'pages' && waiting === null ? some(plan.bytes) : null;
  const planned = probe?.status.plan.by === 'pages' ? probe.status.plan.bytes : 0;
  const whole = probe?.status.behind?.bytes ?? 0;
  // Pages are counted uncompressed; the plan says what they come to on the way.
  const share = planned > 0 && whole > 0 ? Math.min(1, waiting.bytes / whole) : null;
  return some(share === null ? waiting.bytes : Math.round(planned * share));
}

const some = (bytes: number): number | null => (bytes > 0 ? bytes : null);
