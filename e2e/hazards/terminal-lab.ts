import { rmSync } from 'node:fs';
import path from 'node:path';
import { type AgentRun, agentRun } from '@tidemark/testing/agent-run';
import { FaultProxy } from '@tidemark/testing/fault-proxy';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { afterEach, beforeEach } from 'vitest';

/** The system for tests of one terminal: a relay in this process behind a fault proxy. */

export let relay: TestRelay;
export let faultProxy: FaultProxy;
export let folder: string;
/** Gives each test of the calling file its own relay, proxy and folder. */
export function useTerminal(): void {
  beforeEach(async () => {
    relay = await TestRelay.start();
    faultProxy = await FaultProxy.start(relay.url);
    folder = temporaryFolder('terminal');
  });
  afterEach(async () => {
    await faultProxy.stop();
    await relay.stop();
    rmSync(folder, { recursive: true, force: true });
  });
}

export const database = () => path.join(folder, 'branch.sqlite');
/** Returns the arguments of a terminal command that connects through the proxy. */
export const args = (command: string, more: { db?: string; relay?: string; token?: string } = {}) => [
  command,
  '--relay',
  more.relay ?? faultProxy.url,
  '--feed',
  'shop',
  '--token-file',
  more.token ?? relay.tokenFile('terminal'),
  '--db',
  more.db ?? database(),
];

/** Pulls once with the agent, which gives up at its first failure. */
export const pull = (more: Pick<AgentRun, 'watch' | 'each'> = {}) =>
  agentRun({ relayUrl: faultProxy.url, token: relay.token('terminal'), database: database(), ...more });

/** Returns the replica's rows of the table item. */
export function rows(): [number, string][] {
  const db = new Database(database(), { readonly: true });
  try {
    return db.prepare('SELECT id, name FROM item ORDER BY id').raw().all() as [number, string][];
  } finally {
    db.close();
  }
}

/** Returns the replica's cursor. */
export const seqHere = () => {
  const db = new Database(database(), { readonly: true });
  const { seq } = db.prepare('SELECT seq FROM tidemark_meta').get() as { seq: number };
  db.close();
  return seq;
};
