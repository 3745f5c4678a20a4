import { Epoch, type PageStart, seq } from '@tidemark/protocol/cursor';
import type { ErrorCode } from '@tidemark/protocol/errors';
import type { Mode } from '@tidemark/protocol/run';
import { initial, next } from './machine.ts';
import type { Context, Effect, Event, Policy, State, Work } from './machine-types.ts';

export const EPOCH = Epoch.parse('aaaaaaaa');
export const POLICY: Policy = {
  checkAtStart: true,
  everyMs: null,
  automatic: 'check',
  watch: false,
  freshCopy: 'ask',
  giveUpAfterMs: null,
  repair: true,
};
export const at = (n: number, part = 0): PageStart => ({ seq: seq(n), part });
export const cursor = (n: number) => ({ epoch: EPOCH, seq: seq(n) });
export const NOW = Date.parse('2026-11-23T08:00:00Z');

/** The relay's answer to a terminal at `from`, with the head at `head`. */
export const status = (from: number | null, head: number) => ({
  protocol: 1,
  relay: { name: 'r', version: '1' },
  now: NOW,
  head: { epoch: EPOCH, seq: seq(head), committedAt: NOW },
  horizon: seq(0),
  keepsUntil: null,
  behind: null,
  plan:
    from === null
      ? ({ by: 'snapshot', scopes: 'all', reason: 'first', rows: 1, tables: 1, bytes: 1 } as const)
      : from === head
        ? ({ by: 'none' } as const)
        : ({ by: 'pages', scopes: 'all', bytes: 1, squashed: false } as const),
  feed: { connected: true, heardAt: null, lagMs: 0 },
});
export const failed = (work: Work, code: ErrorCode, retryAfterMs: number | null = null) =>
  ({ type: 'failed', work, fault: { code, params: {} }, retryAfterMs, progressed: false }) as const;
export const page = (start: PageStart, to: PageStart | null) => ({ bytes: Buffer.alloc(0), start, next: to });

/** A machine that is fed events and remembers its effects. */
export class Rig {
  state: State;
  effects: Effect[] = [];
  now = NOW;
  #id = 0;

  constructor(policy: Partial<Policy> = {}, from: number | null = 5) {
    this.state = initial({ ...POLICY, checkAtStart: false, ...policy }, null);
    this.send({
      type: 'settings',
      configured: true,
      feedNamed: true,
      reopen: false,
      reconnect: false,
      policy: this.state.policy,
    });
    this.send({ type: 'opened', cursor: from === null ? null : cursor(from), start: at(from ?? 0), lastRunAt: null });
  }

  send(event: Event, random = 1 - Number.EPSILON): string[] {
    const context: Context = { now: this.now, random: () => random, newId: () => `run-${++this.#id}` };
    const step = next(this.state, event, context);
    this.state = step.state;
    this.effects.push(...step.effects);
    return step.effects.map((effect) => effect.do);
  }

  start(mode: Mode = 'now', wanted: number | null = null): string[] {
    return this.send({ type: 'start', mode, trigger: 'manual', wanted: wanted === null ? null : seq(wanted) });
  }

  /** How the last run ended. */
  get outcome() {
    const last = this.effects.findLast((effect) => effect.do === 'ended');
    return last?.do === 'ended' ? { outcome: last.outcome, code: last.fault?.code } : null;
  }
}
