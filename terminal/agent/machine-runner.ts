import { randomUUID } from 'node:crypto';
import type { Effect } from '../machine/effect.ts';
import type { Event } from '../machine/event.ts';
import { dueAt, next } from '../machine/machine.ts';
import type { State } from '../machine/state.ts';

/**
 * Longest time for which a timer is set, ms. People set clocks and PCs sleep, so the runner must check due times again.
 */
const TIMER_MS = 60_000;

export interface RunnerDeps {
  /** Performs an effect other than `abort`. */
  perform(effect: Effect): void;
  /** Called after each step, once its effects have been performed. */
  onStep(before: State, event: Event): void;
  /** Called when no event is waiting. */
  onRest(): void;
}

/**
 * Runs the machine: sends it one event at a time, performs its effects, sets its timer and tracks the work in flight.
 *
 * Events that arrive during a step wait for its end. The runner drops the results of aborted work, and sends `aborted`
 * only when all of that work has ended, so that no earlier work still writes when the machine continues.
 */
export class MachineRunner {
  readonly #deps: RunnerDeps;
  readonly #queue: Event[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  #state: State;
  #stepping = false;
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The due time for which the timer is set, ms since 1970. Null: no timer is set. */
  #timerFor: number | null = null;

  constructor(initial: State, deps: RunnerDeps) {
    this.#state = initial;
    this.#deps = deps;
  }

  get state(): State {
    return this.#state;
  }

  /** The signal for work that begins now. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  dispatch(event: Event): void {
    this.#queue.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let event = this.#queue.shift(); event; event = this.#queue.shift()) this.#step(event);
    } finally {
      this.#stepping = false;
    }
    this.#setTimer();
    this.#deps.onRest();
  }

  /** Begins work whose result becomes an event. `work` must not reject. */
  begin(work: Promise<Event>): void {
    const { signal } = this;
    const done = work.then((event) => {
      if (!signal.aborted) this.dispatch(event);
    });
    this.#inFlight.add(done);
    void done.finally(() => this.#inFlight.delete(done));
  }

  /** Resolves when no work is in flight. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#inFlight]);
  }

  #step(event: Event): void {
    const before = this.#state;
    const { state, effects } = next(before, event, {
      now: Date.now(),
      uptimeMs: performance.now(),
      random: Math.random,
      newId: randomUUID,
    });
    this.#state = state;
    for (const effect of effects) {
      if (effect.do === 'abort') this.#abortAll();
      else this.#deps.perform(effect);
    }
    this.#deps.onStep(before, event);
  }

  #abortAll(): void {
    this.#abort.abort();
    const abort = new AbortController();
    this.#abort = abort;
    void this.settled().then(() => {
      if (this.#abort === abort) this.dispatch({ type: 'aborted' });
    });
  }

  /**
   * Sets the timer for the machine's due time. A timer that is set for this time stays: if every event looked at the
   * clock again, a clock that jumps would end each wait (W1).
   */
  #setTimer(): void {
    const at = this.#state.at === 'stopped' ? null : dueAt(this.#state);
    if (at === this.#timerFor) return;
    clearTimeout(this.#timer);
    this.#timerFor = at;
    if (at === null) return;
    const tick = () => {
      this.#timerFor = null;
      this.dispatch({ type: 'tick' });
    };
    this.#timer = setTimeout(tick, Math.min(TIMER_MS, Math.max(0, at - Date.now())));
  }
}
