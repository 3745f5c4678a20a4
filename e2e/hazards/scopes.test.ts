import { rmSync } from 'node:fs';
import { RelayStatus, type TransactionList } from '@tidemark/protocol/api';
import { agentRun } from '@tidemark/testing/agent-run';
import { describe, expect, test } from 'vitest';
import { expectEqual, NAMES, type Name, pull, seeds, useCleanup, world } from './scopes-lab.ts';

/** Each terminal receives exactly the rows of its scopes. */

useCleanup();

describe('scopes', () => {
  test.each(seeds)('G1 each terminal holds exactly its rows while rows move between scopes (seed %i)', async (seed) => {
    const all = await world(seed);
    for (let round = 0; round < 12; round++) {
      for (const name of NAMES.filter(() => round === 0 || all.random.chance(0.6))) await pull(all, name);
      for (let i = all.random.int(1, 12); i > 0; i--) await all.relay.transaction(all.master.change(all.random));
    }
    for (const name of NAMES) {
      await pull(all, name);
      await expectEqual(all, name);
    }
    // Check terminals that start late, from a snapshot.
    for (const name of NAMES) rmSync(all.file(name));
    for (const name of NAMES) {
      await pull(all, name);
      await expectEqual(all, name);
    }
  });

  test('G2 foreign-rows: no answer to a terminal reveals rows outside its scopes', async () => {
    const all = await world(5);
    const { relay } = all;
    await pull(all, 'nine');
    const ask = async (route: string, name: Name) =>
      (await relay.get(`/v1/feeds/shop/${route}`, relay.token(name))).text();
    const before = RelayStatus.parse(JSON.parse(await ask('status', 'nine')));
    const epoch = before.head?.epoch ?? '';
    const from = before.head?.seq ?? 0;
    await relay.transaction([
      ['i', 2, [[900, 7, 1]]],
      ['i', 4, [[901, 'then', 'the secret', 7]]],
    ]);
    await relay.transaction([['i', 2, [[902, 9, 1]]]]);
    await relay.transaction([['u', 2, [[902, 7, 5]]]]);
    const scopes = 'scopes' in before.plan ? before.plan.scopes : '';
    const status = RelayStatus.parse(
      JSON.parse(await ask(`status?epoch=${epoch}&seq=${from}&scopes=${scopes}`, 'nine')),
    );
    expect(status.behind).toMatchObject({ transactions: 2, changes: 2 });
    const said = JSON.parse(await ask(`transactions?epoch=${epoch}&after=${from}`, 'nine')) as TransactionList;
    expect(said.transactions.map(({ seq, changes, tables }) => [seq - from, changes, tables])).toEqual([
      [2, 1, ['stock']],
      [3, 1, ['stock']],
    ]);
    const page = await ask(`pages/${epoch}/${scopes}/${from}/${from + 3}`, 'nine');
    expect(page).toContain('["i",2,[[902,9,1]]]');
    expect(page).toContain('["d",2,[[902]]]');
    expect(page).not.toMatch(/\[90[01]|secret|902,7/);
    const seven = RelayStatus.parse(JSON.parse(await ask('status', 'seven')));
    const theirs = 'scopes' in seven.plan ? seven.plan.scopes : '';
    expect(theirs).not.toBe(scopes);
    for (const route of [
      `pages/${epoch}/${theirs}/${from}/${from}`,
      `snapshots/${epoch}/${theirs}/${from}`,
      `pages/${epoch}/all/${from}/${from}`,
    ])
      expect(JSON.parse(await ask(route, 'nine'))).toMatchObject({ code: 'scope_denied' });
  });

  test('G3 a terminal whose rows did not change is caught up, and its cursor advances', async () => {
    const all = await world(6);
    await pull(all, 'nine');
    for (let i = 0; i < 5; i++) await all.relay.transaction([['i', 2, [[800 + i, 7, 1]]]]);
    const run = await agentRun({ relayUrl: all.relay.url, token: all.relay.token('nine'), database: all.file('nine') });
    expect(run).toMatchObject({ fault: null, outcome: 'nothing-new', to: { seq: 6 } });
    // A pull of one transaction applies the next transaction with rows of the terminal.
    for (const branch of [7, 7, 9, 7, 9])
      await all.relay.transaction([['i', 2, [[810 + all.random.int(0, 1e9), branch, 1]]]]);
    const one = await agentRun({
      relayUrl: all.relay.url,
      token: all.relay.token('nine'),
      database: all.file('nine'),
      mode: 'one',
    });
    expect(one).toMatchObject({ fault: null, inserted: 1, to: { seq: 9 } });
  });
});
