import { randomUUID } from 'node:crypto';
import type { Effect } from '../machine/effect.ts';
import type { Event } from '../machine/event.ts';
import { dueAt, next } from '../machine/machine.ts';
import type { State } from '../machine/state.ts';

/** The longest time that a timer is set for, ms: clocks are set and PCs sleep, so the runner checks due times again. */
const TIMER_MS = 60_000;

export interface RunnerDeps {
  /** Performs an effect other than `abort`. */
  perform(effect: Effect): void;
  /** Called after each step, when its effects have been performed. */
  onStep(before: State, event: Event): void;
  /** Called when no event is left. */
  onRest(): void;
}

/**
 * Runs the machine: feeds it events one at a time, performs its effects, keeps its timer, and knows the work in flight.
 *
 * Events that arrive during a step wait for its end. The result of work that was aborted is dropped, and `aborted` is
 * sent once all of it has ended, so that nothing still writes when the machine continues.
 */
export class MachineRunner {
  readonly #deps: RunnerDeps;
  readonly #queue: Event[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  #state: State;
  #stepping = false;
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

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

  /** Begins work whose result is an event. `work` must not reject. */
  begin(work: Promise<Event>): void {
    const { signal } = this;
    const done = work.then((event) => {
      if (!signal.aborted) this.dispatch(event);
    });
    this.#inFlight.add(done);
    void done.finally(() => this.#inFlight.delete(done));
  }

  /** Resolves when the work in flight has ended. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#inFlight]);
  }

  #step(event: Event): void {
    const before = this.#state;
    const { state, effects } = next(before, event, { now: Date.now(), random: Math.random, newId: randomUUID });
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

  #setTimer(): void {
    clearTimeout(this.#timer);
    const at = this.#state.at === 'stopped' ? null : dueAt(this.#state);
    if (at === null) return;
    this.#timer = setTimeout(() => this.dispatch({ type: 'tick' }), Math.min(TIMER_MS, Math.max(0, at - Date.now())));
  }
}
