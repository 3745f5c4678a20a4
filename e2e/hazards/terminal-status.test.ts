import type { BatchLine } from '@tidemark/protocol/lines';
import { createAgent } from '@tidemark/terminal/agent/agent';
import { Secret } from '@tidemark/terminal/relay/secret';
import { run, start, until } from '@tidemark/testing/processes';
import { ITEM } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { args, database, faultProxy, relay, useTerminal } from './terminal-lab.ts';

/** Tests of S13 at a terminal: the commands and the file name what keeps the data from being up to date. */

useTerminal();

const AS_OF = '2026-11-23T08:00:00.000000Z';
const MARKED = { ...ITEM, setAside: { reason: 'row_too_large' as const, asOf: AS_OF } };
const COLUMNS = ['id', 'name'];
/** Sets the table item aside (F17). */
const setAside = () =>
  relay.transaction([
    ['s', 1, ITEM],
    ['s', 2, MARKED],
    ['a', 2, 1, COLUMNS],
  ] as BatchLine[]);
/** Ends the mark, as a re-read does. */
const follow = () =>
  relay.transaction([
    ['s', 2, MARKED],
    ['s', 3, ITEM],
    ['a', 3, 2, COLUMNS],
    ['i', 3, [[9, 'new']]],
  ] as BatchLine[]);

function sql(text: string): unknown {
  const db = new Database(database(), { readonly: true });
  try {
    return db.prepare(text).get();
  } finally {
    db.close();
  }
}

/** The feed reports what is wrong (F18). Null: nothing. */
async function report(fault: { code: string } | null): Promise<void> {
  const detail = 'the secret row of another branch';
  const content = {
    fault: fault && { ...fault, detail, since: new Date(Date.now() - 60_000).toISOString(), attempts: 3 },
    tables: [],
    more: 0,
  };
  const answer = await fetch(`${relay.url}/v1/feeds/shop/troubles`, {
    method: 'POST',
    headers: { authorization: `Bearer ${relay.token('feed')}` },
    body: JSON.stringify(content),
  });
  expect(answer.status).toBe(200);
}

/** Sends a base copy of one row, after which the lag is unknown. */
async function baseWithoutHeartbeat(): Promise<void> {
  await relay.session();
  await relay.baseOf([
    ['s', 1, ITEM],
    ['i', 1, [[1, 'one']]],
  ]);
}

function runsInFile(): unknown[] {
  const db = new Database(database(), { readonly: true });
  try {
    const runs = db.prepare('SELECT run FROM tidemark_run').pluck().all() as string[];
    return runs.map((run) => JSON.parse(run) as unknown);
  } finally {
    db.close();
  }
}

const codeInFile = () => (sql('SELECT code FROM tidemark_status') as { code: string }).code;

test('set-aside: pull and status name the table, and end with exit code 3', async () => {
  await relay.base(3);
  expect(await run('terminal', args('pull'))).toMatchObject({ code: 0 });
  await setAside();
  const pulled = await run('terminal', args('pull'));
  expect(pulled).toMatchObject({ code: 3, stderr: '' });
  expect(pulled.stdout).toMatch(/Table item is set aside\. Its rows are as of .*A row of this table is larger than/);
  expect(pulled.stdout).not.toMatch(/up to date/i);
  const again = await run('terminal', [...args('pull'), '--json']);
  expect(again.code).toBe(3);
  expect(JSON.parse(again.stdout)).toMatchObject({ outcome: 'nothing-new', status: { attention: expect.anything() } });
  const shown = await run('terminal', args('status'));
  expect(shown.code).toBe(3);
  expect(shown.stdout).toContain('Table item is set aside.');
  expect(shown.stdout).not.toMatch(/up to date/i);
  const json = await run('terminal', [...args('status'), '--json']);
  expect(JSON.parse(json.stdout)).toMatchObject({
    facts: { replica: { setAside: { count: 1, tables: [{ name: 'item', reason: 'row_too_large' }] } } },
  });
  expect(runsInFile()).toContainEqual(
    expect.objectContaining({ setAside: [{ name: 'item', reason: 'row_too_large' }] }),
  );
  expect(sql('SELECT tables_set_aside FROM tidemark_status')).toEqual({ tables_set_aside: 1 });
  expect(sql('SELECT * FROM tidemark_table_status')).toEqual({
    ...{ name: 'item', rows: 3, set_aside: 1, reason: 'row_too_large', as_of: AS_OF },
  });

  await follow();
  expect(await run('terminal', args('pull'))).toMatchObject({ code: 0 });
  expect(sql('SELECT tables_set_aside FROM tidemark_status')).toEqual({ tables_set_aside: 0 });
  expect(runsInFile()).toContainEqual(expect.objectContaining({ followed: ['item'] }));
  expect(sql('SELECT set_aside, reason FROM tidemark_table_status')).toEqual({ set_aside: 0, reason: null });
});

test('feed-fault: pull, verify, recopy and status name the fault in words, and end with exit code 3', async () => {
  await relay.base(3);
  await relay.current();
  expect(await run('terminal', args('pull'))).toMatchObject({ code: 0 });
  const before = await run('terminal', args('pull'));
  expect([before.code, before.stdout]).toEqual([0, 'Up to date. Nothing new. Position 1.\n']);
  await report({ code: 'source_lost' });
  for (const command of [['pull'], ['verify'], ['recopy', '--yes'], ['status']]) {
    const [name = '', ...more] = command;
    const ended = await run('terminal', [...args(name), ...more]);
    expect([name, ended.code, ended.stderr]).toEqual([name, 3, '']);
    expect(ended.stdout).toMatch(
      /No changes have arrived from head office since .*\. The connection to head office's database/,
    );
    expect(ended.stdout).not.toMatch(/up to date/i);
    expect(ended.stdout).not.toContain('secret');
  }
  expect(codeInFile()).toBe('feed-fault');
  const json = await run('terminal', [...args('status'), '--json']);
  expect(JSON.parse(json.stdout)).toMatchObject({
    status: { code: 'feed-fault' },
    facts: { probe: { status: { feed: { connected: false, fault: { code: 'source_lost' } } } } },
  });
  const pulled = await run('terminal', [...args('pull'), '--json']);
  expect([pulled.code, JSON.parse(pulled.stdout)]).toMatchObject([3, { status: { code: 'feed-fault' } }]);
  await report(null);
  await relay.current();
  const after = await run('terminal', args('pull'));
  expect([after.code, after.stdout]).toEqual([0, 'Up to date. Nothing new. Position 1.\n']);
  expect(codeInFile()).toBe('up-to-date');
});

test('relay-behind: a relay that has not held everything for six minutes ends pull and status with exit code 3', async () => {
  await baseWithoutHeartbeat();
  await relay.current(6 * 60_000);
  expect((await run('terminal', args('pull'))).stdout).toMatch(/Received 1 change.* is 6 min behind Central database/s);
  const pulled = await run('terminal', args('pull'));
  expect(pulled.code).toBe(3);
  expect(pulled.stdout).not.toMatch(/up to date/i);
  expect(await run('terminal', args('status'))).toMatchObject({ code: 3 });
});

test('an unknown lag is not called up to date, and counts as a shortfall while the newest commit is old', async () => {
  await baseWithoutHeartbeat();
  expect((await run('terminal', args('pull'))).code).toBe(3);
  const old = await run('terminal', args('pull'));
  expect([old.code, old.stdout]).toEqual([3, expect.stringMatching(/^Nothing new.*is behind .* is not known yet/s)]);
  // The relay holds everything up to a commit of this minute, whatever its lag is.
  await relay.transaction(
    [
      ['s', 1, ITEM],
      ['u', 1, [[1, 'two']]],
    ] as BatchLine[],
    new Date().toISOString(),
  );
  expect((await run('terminal', args('pull'))).code).toBe(0);
  const recent = await run('terminal', args('pull'));
  expect([recent.code, recent.stdout]).toEqual([0, 'Nothing new. Position 2.\n']);
});

test('status of a PC with waiting changes ends with exit code 0, because a sync removes them', async () => {
  await relay.base(3);
  await relay.current();
  await run('terminal', args('pull'));
  await relay.commit('u', [[1, 'x']]);
  await relay.current();
  const shown = await run('terminal', args('status'));
  expect([shown.code, shown.stdout]).toEqual([0, expect.stringContaining('1 change waiting')]);
});

test('set-aside: a first copy brings the mark', async () => {
  await relay.base(3);
  await setAside();
  const pulled = await run('terminal', args('pull'));
  expect(pulled.code).toBe(3);
  expect(pulled.stdout).toMatch(/^Received 3 changes/);
  expect(sql('SELECT seq, tables_set_aside FROM tidemark_status')).toEqual({ seq: 2, tables_set_aside: 1 });
});

test('watch prints that a table is set aside, and that it follows again', async () => {
  await relay.base(3);
  const watch = start('terminal', args('watch'));
  onTestFinished(async () => {
    await watch.stop('SIGKILL');
  });
  const prints = (text: string) =>
    until(
      async () => watch.stdout.includes(text),
      () => `watch did not print ${text}: ${watch.stdout}${watch.stderr}`,
    );
  await prints('Received 3 changes');
  await setAside();
  await prints('Table item is set aside. Its rows are as of');
  await follow();
  await prints('Received 1 change');
});

test('the file names a relay that a watching terminal cannot reach, although its run has not ended', async () => {
  await relay.base(3);
  const agent = createAgent(
    {
      ...{ databasePath: database(), version: 'test', checkAtStart: false, watch: true },
      ...{ freshCopy: 'take', giveUpAfterMs: null, paused: null },
    },
    () => undefined,
  );
  onTestFinished(() => agent.stop());
  const ended = Promise.withResolvers<void>();
  agent.onRun(() => ended.resolve());
  agent.start({
    ...{ relayUrl: faultProxy.url, feed: 'shop', token: new Secret(relay.token('terminal')) },
    ...{ centralName: '', terminalName: '', everyMs: null, automatic: 'check' },
  });
  await ended.promise;
  faultProxy.trouble = { kind: 'cut' };
  await relay.commit('u', [[1, 'x']]);
  await until(
    async () => codeInFile() === 'unreachable',
    () => `the file says ${codeInFile()}`,
  );
});
