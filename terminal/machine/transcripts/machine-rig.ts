import type { RelayStatus } from '@tidemark/protocol/api';
import { Epoch, formatStart, type PageStart, seq } from '@tidemark/protocol/cursor';
import type { ErrorCode } from '@tidemark/protocol/errors';
import type { Mode } from '@tidemark/protocol/run';
import { expect } from 'vitest';
import type { Context, Effect } from '../effect.ts';
import type { Event, EventOf, Verdict, Work } from '../event.ts';
import { dueAt, initial, next } from '../machine.ts';
import type { Policy, Start, State } from '../state.ts';

/**
 * Drives the machine for tests that read as transcripts. Each line is an event and, as text, the effects that it must
 * cause.
 */

export const NOW = Date.parse('2026-11-23T08:00:00Z');
const EPOCH = Epoch.parse('aaaaaaaa');
const POLICY: Policy = {
  checkAtStart: false,
  everyMs: null,
  automatic: 'check',
  watch: false,
  freshCopy: 'ask',
  giveUpAfterMs: null,
  repair: true,
};

/** Returns the page start after transaction `n` or, with `part`, inside transaction `n` + 1. */
export const at = (n: number, part = 0): PageStart => ({ seq: seq(n), part });
export const cursor = (n: number) => ({ epoch: EPOCH, seq: seq(n) });
/** Returns the start of a replica that keeps a part of a compacted transaction ending at `to`. */
export const keptOf = (to: number, part: number, from = 5): Start => ({ ...at(from, part), compactedTo: seq(to) });

type Plan = RelayStatus['plan'];
const COST = { scopes: 'all', rows: 1, tables: 1, bytes: 1 } as const;
export const PLANS = {
  none: { by: 'none' },
  pages: { by: 'pages', scopes: 'all', bytes: 1, squashed: false },
  compacted: { by: 'pages', scopes: 'all', bytes: 9e6, squashed: true },
  scopesChanged: { ...COST, by: 'difference', scopes: 'ab' },
} as const satisfies Record<string, Plan>;
export const bySnapshot = (reason: Extract<Plan, { by: 'snapshot' }>['reason']): Plan => ({
  ...COST,
  by: 'snapshot',
  reason,
});

/** Returns the relay's status with this head. */
export function status(head: number, plan: Plan): RelayStatus {
  return {
    protocol: 1,
    relay: { name: 'r', version: '1' },
    now: NOW,
    head: { epoch: EPOCH, seq: seq(head), committedAt: NOW },
    horizon: seq(0),
    keepsUntil: null,
    behind: null,
    plan,
    feed: { connected: true, heardAt: null, lagMs: 0 },
  };
}

// Events.
/** `heldMs`: how long the relay held the poll. */
export const polled = (status: RelayStatus, heldMs = 0): EventOf<'polled'> => ({ type: 'polled', status, heldMs });
export const start = (mode: Mode = 'now', upTo: number | null = null): EventOf<'start'> => ({
  type: 'start',
  mode,
  trigger: 'manual',
  upTo: upTo === null ? null : seq(upTo),
});
export const probed = (head: number, plan: Plan, altered = false): EventOf<'probed'> => ({
  type: 'probed',
  status: status(head, plan),
  altered,
});
export const fetched = (from: PageStart, to: PageStart): EventOf<'fetched'> => ({
  type: 'fetched',
  page: { start: from, next: to, content: {} as never },
});
export const applied = (n: number, starts: Start = at(n)): EventOf<'applied'> => ({
  type: 'applied',
  cursor: cursor(n),
  start: starts,
});
export const manifest = (n: number, scopes = 'all'): EventOf<'manifest'> => ({
  type: 'manifest',
  manifest: { cursor: cursor(n), scopes } as never,
});
export const installed = (n: number): EventOf<'installed'> => ({ type: 'installed', cursor: cursor(n), start: at(n) });
export const repaired = (n: number): EventOf<'repaired'> => ({ type: 'repaired', cursor: cursor(n), start: at(n) });
const FOUND = [{ table: 'item', missing: 1, extra: 0, different: 2 }];
export const compared = (verdict: Verdict): EventOf<'compared'> => ({
  type: 'compared',
  differences: verdict === 'equal' ? [] : FOUND,
  verdict,
});
export const failed = (work: Work, code: ErrorCode, retryAfterMs: number | null = null): EventOf<'failed'> => ({
  type: 'failed',
  work,
  fault: { code, params: {} },
  retryAfterMs,
  progressed: false,
});
export const PAUSE: Event = { type: 'pause', until: null, by: 'you' };

export class Rig {
  state: State;
  readonly effects: Effect[] = [];
  now = NOW;
  /** By how much the PC's clock was set since the start, ms. */
  clockSetByMs = 0;
  /** Random number for the jitter of waits. The default gives the longest wait. */
  random = 1 - Number.EPSILON;
  #runs = 0;

  /** Creates a configured machine at rest, with the replica open at `from`. Null: the replica is empty. */
  constructor(policy: Partial<Policy> = {}, from: number | null = 5) {
    this.state = initial({ ...POLICY, ...policy }, null);
    this.send({ type: 'settings', feed: 'same', connection: 'same', policy: this.state.policy });
    const position = from === null ? { cursor: null, start: at(0) } : { cursor: cursor(from), start: at(from) };
    this.send({ type: 'opened', ...position, lastRunAt: null });
  }

  send(event: Event): Effect[] {
    const context: Context = {
      now: this.now,
      uptimeMs: this.now - this.clockSetByMs,
      random: () => this.random,
      newId: () => `run-${++this.#runs}`,
    };
    const step = next(this.state, event, context);
    this.state = step.state;
    this.effects.push(...step.effects);
    return step.effects;
  }

  /** Sends an event and expects exactly these effects, in the form of {@link textOf}. */
  on(event: Event, ...effects: string[]): void {
    expect(this.send(event).map(textOf)).toEqual(effects);
  }

  /** Moves the clock to the machine's due time and sends a tick. */
  tickWhenDue(...effects: string[]): void {
    this.now = dueAt(this.state) ?? this.now;
    this.on({ type: 'tick' }, ...effects);
  }

  /** Returns the time until the machine's next tick, ms. */
  get waitMs(): number {
    return (dueAt(this.state) ?? Number.NaN) - this.now;
  }
}

/** Describes an effect in a few words: `fetch 5.2 compacted fresh`, `apply 5 to 7`, `ended failed: disk_full`. */
function textOf(effect: Effect): string {
  const words: (string | false)[] = [effect.do];
  switch (effect.do) {
    case 'began':
      words.push(effect.run.request.mode, effect.run.request.trigger);
      break;
    case 'fetch':
      words.push(formatStart(effect.start), effect.plan.kind === 'compacted' && 'compacted', effect.fresh && 'fresh');
      break;
    case 'apply':
      words.push(formatStart(effect.page.start), 'to', formatStart(effect.page.next));
      words.push(effect.kind === 'compacted' && 'compacted');
      break;
    case 'compare':
      words.push(!effect.mayCopy && 'without copy');
      break;
    case 'open':
      words.push(effect.checked && 'checked');
      break;
    case 'repair':
      words.push(effect.strict && 'strictly');
      break;
    case 'ended':
      words.push(effect.fault ? `${effect.outcome}: ${effect.fault.code}` : effect.outcome);
      break;
    default:
      break;
  }
  return words.filter((word) => word !== false).join(' ');
}
