import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import type { Job, Outcome } from './fleet-load.ts';
import { type FleetRelay, keyOf, noise } from './fleet-relay.ts';

/** The shared parts of the fleet benchmarks: processes that send load, and requests and data of a relay. */

/** A process that sends load. */
export class Load {
  readonly #child: ChildProcess = fork(path.join(import.meta.dirname, 'fleet-load.ts'));

  /** Starts a job. `sent` resolves when all its requests are sent. */
  run(job: Job): { sent: Promise<number>; outcome: Promise<Outcome> } {
    const sent = Promise.withResolvers<number>();
    const outcome = Promise.withResolvers<Outcome>();
    const onMessage = (message: string | Outcome) => {
      if (message === 'waiting') sent.resolve(now());
      else {
        this.#child.off('message', onMessage);
        outcome.resolve(message as Outcome);
      }
    };
    this.#child.on('message', onMessage);
    this.#child.removeAllListeners('exit').once('exit', (code) => {
      const error = new Error(`the load ended (${code})`);
      sent.reject(error);
      outcome.reject(error);
    });
    this.#child.send(job);
    return { sent: sent.promise, outcome: outcome.promise };
  }

  stop(): void {
    this.#child.removeAllListeners('exit');
    this.#child.kill('SIGKILL');
  }
}

export const now = () => performance.timeOrigin + performance.now();
export const portOf = (relay: FleetRelay) => Number(new URL(relay.url).port);

export const get = async (relay: FleetRelay, at: string, key = 1) => {
  const answer = await fetch(relay.url + at, { headers: { authorization: `Bearer ${keyOf(key)}` } });
  await answer.arrayBuffer();
  return answer.status;
};

export const ms = (value: number) => (value < 1000 ? `${value.toFixed(0)} ms` : `${(value / 1000).toFixed(1)} s`);

/** Fills the log with transactions of about 1 kB that every terminal receives. */
export async function fillItems(relay: FleetRelay, transactions: number): Promise<void> {
  for (let from = 0; from < transactions; from += 500)
    await relay.commit(
      'i',
      1,
      Array.from({ length: Math.min(500, transactions - from) }, (_, n) => [[from + n, noise(from + n, 1_000)]]),
    );
}

/** Returns the id of a terminal's set of scopes, from the status answer of its key. */
export async function setOf(relay: FleetRelay, key: number): Promise<string> {
  const answer = await fetch(`${relay.url}/v1/feeds/shop/status?epoch=${relay.epoch}&seq=1&scopes=zzzz`, {
    headers: { authorization: `Bearer ${keyOf(key)}` },
  });
  const { plan } = (await answer.json()) as { plan: { scopes?: string } };
  return plan.scopes ?? 'all';
}
