import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Run } from '@tidemark/protocol/run';
import { pull as pullOnce } from '@tidemark/terminal/command/run-once';
import { Secret } from '@tidemark/terminal/relay/secret';
import { run, start, until } from '@tidemark/testing/processes';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { args, database, faultProxy, folder, relay, rows, useTerminal } from './terminal-lab.ts';

/** Tests of the command `tidemark-terminal`: usage errors, status, progress, and a resumed download. */

useTerminal();

describe('tidemark-terminal', () => {
  test('reports every usage and configuration mistake without showing a secret', async () => {
    const usage = await run('terminal', ['pull', '--feed', 'shop']);
    expect(usage).toMatchObject({ code: 2 });
    expect(usage.stderr).toMatch(/^usage: /);
    const ended = await run('terminal', [
      ...['pull', '--relay', 'relay', '--feed', 'Shop!', '--db', database()],
      ...['--token-file', path.join(folder, 'none')],
    ]);
    expect(ended.code).toBe(78);
    for (const named of ['--relay', '--feed', '--token-file']) expect(ended.stderr).toContain(named);
    const wrong = path.join(folder, 'wrong.token');
    writeFileSync(wrong, 'a-secret-that-is-wrong');
    await relay.base(1);
    const denied = await run('terminal', [...args('pull', { token: wrong }), '--json', '--verbose']);
    expect(denied.code).toBe(1);
    expect(denied.stderr).toContain('"token_invalid"');
    expect(denied.stdout + denied.stderr).not.toContain('a-secret-that-is-wrong');
  });

  test('plain-http: warns once on stderr that the key crosses the network in plain text', async () => {
    const other = { relay: 'http://relay.invalid:4600' };
    const words = 'http:// sends the key and all data to relay.invalid:4600 in plain text';
    const status = await run('terminal', [...args('status', other), '--json']);
    const [warning = '', ...rest] = status.stderr.trim().split('\n');
    expect(JSON.parse(warning)).toEqual({ warning: expect.stringContaining(words) });
    expect(rest.join('\n')).not.toContain('plain text');
    expect(JSON.parse(status.stdout)).toMatchObject({ facts: { unencrypted: true } });
    const pull = await run('terminal', [...args('status', other)]);
    expect(pull.stderr.match(/plain text/g)).toHaveLength(1);
    expect(pull.stderr).toMatch(/^warning: --relay: http:/);
    const https = await run('terminal', [...args('status', { relay: 'https://relay.invalid' }), '--json']);
    expect(https.stderr).not.toContain('plain text');
    expect(JSON.parse(https.stdout)).toMatchObject({ facts: { unencrypted: false } });
    await relay.base(1);
    const here = await run('terminal', [...args('status'), '--json']);
    expect(here).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(here.stdout)).toMatchObject({ facts: { unencrypted: false } });
  });

  test('lets another feed use the file after the relay rejects the first feed', async () => {
    await relay.base(3);
    const wrong = (command: string) => args(command).map((word) => (word === 'shop' ? 'nope' : word));
    expect((await run('terminal', wrong('pull'))).stderr).toMatch(/^feed_denied: /);
    const before = await run('terminal', [...args('status'), '--json']);
    expect(before).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(before.stdout)).toMatchObject({ status: { code: 'never-synced' } });
    expect(await run('terminal', args('pull'))).toMatchObject({ code: 0, stderr: '' });
    expect(rows()).toHaveLength(3);
    const here = new Database(database(), { readonly: true });
    const feeds = 'SELECT feed FROM tidemark_meta UNION ALL SELECT feed FROM tidemark_status';
    expect(here.prepare(feeds).pluck().all()).toEqual(['shop', 'shop']);
    here.close();
    expect((await run('terminal', wrong('pull'))).stderr).toMatch(/^db_other_feed: /);
  });

  test('status reports the state without writing or creating the file', async () => {
    await relay.base(3);
    const before = await run('terminal', [...args('status'), '--json']);
    expect(before.code).toBe(0);
    expect(JSON.parse(before.stdout)).toMatchObject({ status: { code: 'never-synced' } });
    expect(() => rows()).toThrow();
    await run('terminal', args('pull'));
    await relay.commit('u', [[1, 'x']]);
    const after = await run('terminal', [...args('status'), '--json']);
    expect(JSON.parse(after.stdout)).toMatchObject({
      status: { code: 'behind' },
      facts: { replica: { cursor: { seq: 1 } }, waiting: { changes: 1 } },
    });
    faultProxy.trouble = { kind: 'cut' };
    const cut = await run('terminal', args('status'));
    expect(cut).toMatchObject({ code: 1 });
    expect(cut.stderr).toMatch(/^relay_unreachable: /);
    expect(cut.stdout).toContain('Position 1');
    expect(cut.stdout).toMatch(
      /^Cannot reach \S+\. \S+ did not answer .*\. It last answered .*\. Showing data as of .*\. Local data is safe\n/,
    );
  });

  test('shows progress in one line and clears it at the end', async () => {
    await relay.base(2000, (n) => `item ${Math.sin(n)} ${Math.cos(n)}`);
    faultProxy.trouble = { kind: 'slow', bytesPerSecond: 40_000 };
    const told: { shown: (string | null)[]; printed: string[] } = { shown: [], printed: [] };
    await pullOnce({
      settings: {
        ...{ relayUrl: faultProxy.url, feed: 'shop', token: new Secret(relay.token('terminal')) },
        ...{ centralName: '', terminalName: '', everyMs: null, automatic: 'check' },
      },
      ...{ database: database(), version: 'test', json: false, log: () => undefined },
      print: (line) => {
        expect(told.shown.at(-1)).toBeNull();
        told.printed.push(line);
      },
      show: (line) => told.shown.push(line),
      signal: new AbortController().signal,
    });
    expect(told.printed).toEqual([expect.stringMatching(/^Received 2,000 changes \(2,000 added\) in 1 table/)]);
    expect(told.shown).toContainEqual(
      expect.stringMatching(/^First sync: [\d,]+ of 2,000 rows · item \(1 of 1 table\)/),
    );
    expect(told.shown.at(-1)).toBeNull();
  });

  test('run-end: a first sync is up to date although head office commits between the plan and the copy', async () => {
    await relay.base(3);
    faultProxy.trouble = { kind: 'delay', ms: 1500 };
    const pulled = run('terminal', [...args('pull'), '--json']);
    await until(
      async () => faultProxy.requestedPaths.length > 1,
      () => 'the terminal did not ask for the copy',
    );
    await relay.commit('u', [[1, 'committed after the plan']]);
    const { code, stdout } = await pulled;
    const { to, status } = JSON.parse(stdout) as Run & { status: { code: string; way: { own: { text: string } } } };
    expect(to?.seq).toBe(2);
    expect({ code, status: status.code, hop: status.way.own.text }).toEqual({
      code: 0,
      status: 'up-to-date',
      hop: 'Up to date',
    });
  });

  test('resumes a download after the command is killed', async () => {
    await relay.base(40_000, (n) => `item ${Math.sin(n)}`);
    expect((await run('terminal', args('pull', { db: path.join(folder, 'first.sqlite') }))).code).toBe(0);
    faultProxy.trouble = { kind: 'slow', bytesPerSecond: 400_000 };
    const killed = start('terminal', args('pull'));
    const partial = await until(
      async () => {
        const { readdirSync, statSync } = process.getBuiltinModule('node:fs');
        const name = readdirSync(folder).find((each) => each.includes('.download-'));
        return name && statSync(path.join(folder, name)).size > 100_000 ? name : false;
      },
      () => 'the download did not start',
    );
    await killed.stop('SIGKILL');
    faultProxy.trouble = { kind: 'none' };
    faultProxy.requestedPaths.length = 0;
    const done = await run('terminal', [...args('pull'), '--json']);
    expect(done.code).toBe(0);
    const { statSync } = process.getBuiltinModule('node:fs');
    expect(() => statSync(path.join(folder, partial))).toThrow();
    const whole = (await (await relay.get('/v1/feeds/shop/snapshot')).json()) as { codings: { bytes: number }[] };
    const smallest = Math.min(...whole.codings.map(({ bytes }) => bytes));
    expect((JSON.parse(done.stdout) as Run).bytes).toBeLessThan(smallest - 90_000);
    expect(rows()).toHaveLength(40_000);
  });
});
