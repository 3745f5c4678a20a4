import { rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Facts } from '@tidemark/status/facts';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { expect, onTestFinished, test } from 'vitest';
import { AgentHost } from './agent-host.ts';
import type { AgentConfig } from './contract.ts';

/** Starts a server that counts its requests, and a host whose facts are collected. */
async function world() {
  const keys: unknown[] = [];
  const server = http.createServer((request, response) => {
    keys.push(request.headers.authorization);
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = temporaryFolder('agent-host');
  const facts: Facts[] = [];
  let check = () => {};
  const host = new AgentHost(
    () => undefined,
    (each) => {
      facts.push(each);
      check();
    },
  );
  onTestFinished(async () => {
    await host.stop();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  });
  const relayUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config: AgentConfig = {
    ...{ relayUrl, feed: 'shop', token: 'stored-key', keyServer: relayUrl, centralName: '', branchName: '' },
    ...{ everyMinutes: 0, automatic: 'sync', version: 'test', paused: null },
    databasePath: path.join(folder, 'shop.sqlite'),
  };
  const until = (holds: (facts: Facts) => boolean) =>
    new Promise<void>((resolve) => {
      check = () => {
        const last = facts.at(-1);
        if (last && holds(last)) resolve();
      };
      check();
    });
  return { host, config, keys, facts, until };
}

test('key-to-another-server: the agent sends no request with a key that was stored for another server', async () => {
  const { host, config, keys, facts, until } = await world();
  await host.configure({ ...config, keyServer: 'https://relay.hq.example' });
  (await host.configuredAgent()).run('now', 'manual');
  expect(facts.at(-1)).toMatchObject({ configured: false });
  expect(keys).toEqual([]);
  // The same configuration for the key's own server sends it, so the test would see a request.
  await host.configure(config);
  (await host.configuredAgent()).run('check', 'manual');
  await until(({ lastRun }) => lastRun?.outcome === 'failed');
  expect(new Set(keys)).toEqual(new Set(['Bearer stored-key']));
});
