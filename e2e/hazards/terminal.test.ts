import { spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RelayStatus } from '@tidemark/protocol/api';
import type { TidemarkError } from '@tidemark/protocol/errors';
import type { Run } from '@tidemark/protocol/run';
import { verifyPage } from '@tidemark/replica/page-reader';
import { Replica } from '@tidemark/replica/replica';
import type { Agent } from '@tidemark/terminal/agent/agent-api';
import { pull as pullOnce } from '@tidemark/terminal/command/commands';
import { Secret } from '@tidemark/terminal/relay/secret';
import { type AgentRun, agentRun } from '@tidemark/testing/agent-run';
import { FaultProxy } from '@tidemark/testing/fault-proxy';
import { COMMANDS, run, start, until } from '@tidemark/testing/processes';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let relay: TestRelay;
let way: FaultProxy;
let folder: string;
beforeEach(async () => {
  relay = await TestRelay.start();
  way = await FaultProxy.start(relay.url);
  folder = temporaryFolder('terminal');
});
afterEach(async () => {
  await way.stop();
  await relay.stop();
  rmSync(folder, { recursive: true, force: true });
});

const database = () => path.join(folder, 'branch.sqlite');
const args = (command: string, more: { db?: string; relay?: string; token?: string } = {}) => [
  command,
  '--relay',
  more.relay ?? way.url,
  '--feed',
  'shop',
  '--token-file',
  more.token ?? relay.tokenFile('terminal'),
  '--db',
  more.db ?? database(),
];

/** One pull by the agent, which gives up at its first failure. */
const pull = (more: Pick<AgentRun, 'watch' | 'each'> = {}) =>
  agentRun({ relayUrl: way.url, token: relay.token('terminal'), database: database(), ...more });

function rows(): [number, string][] {
  const db = new Database(database(), { readonly: true });
  try {
    return db.prepare('SELECT id, name FROM item ORDER BY id').raw().all() as [number, string][];
  } finally {
    db.close();
  }
}

const seqHere = () => {
  const db = new Database(database(), { readonly: true });
  const { seq } = db.prepare('SELECT seq FROM tidemark_meta').get() as { seq: number };
  db.close();
  return seq;
};

describe('answers of the relay', () => {
  const HTML = '<html>Sign in</html>';
  test.each([
    ['relay-answers-html', { kind: 'answer', status: 200, body: HTML }, 'relay_not_tidemark'],
    ['relay-answers-500', { kind: 'answer', status: 500, body: HTML }, 'relay_failed'],
    ['relay-redirects', { kind: 'answer', status: 302, body: '', headers: { location: '/' } }, 'relay_not_tidemark'],
    ['relay-is-busy', { kind: 'answer', status: 503, body: '', headers: { 'retry-after': '1' } }, 'relay_busy'],
    ['relay-cuts', { kind: 'cut' }, 'relay_unreachable'],
    ['relay-is-silent', { kind: 'silence' }, 'relay_timeout'],
    ['page-cut-short', { kind: 'truncate', after: 200 }, 'relay_unreachable'],
    ['page-with-flipped-bit', { kind: 'flip' }, 'page_corrupt'],
  ] as const)(
    '%s: fails with a code, leaves the replica unchanged, and the next pull completes',
    async (_, trouble, code) => {
      await relay.base(2000);
      await relay.commit('u', [[1, 'first']]);
      expect((await pull()).outcome).toBe('done');
      const before = rows();
      await relay.commit(
        'u',
        Array.from({ length: 1000 }, (_, i) => [i + 1, `changed ${i}`]),
      );
      way.trouble = trouble;
      const failed = await pull();
      expect(failed).toMatchObject({ outcome: 'failed', fault: { code } });
      expect(rows()).toEqual(before);
      expect(seqHere()).toBe(2);
      way.trouble = { kind: 'none' };
      expect((await pull()).outcome).toBe('done');
      expect(rows()[999]).toEqual([1000, 'changed 999']);
      expect(seqHere()).toBe(3);
    },
  );

  test.each([
    ['pulled', false],
    ['followed', true],
  ])(
    'slow-link: receives a page that takes longer than the time limit for an answer, and reports progress (%s)',
    async (_, watch) => {
      await relay.base(2000);
      expect((await pull()).outcome).toBe('done');
      await relay.commit(
        'u',
        Array.from({ length: 1000 }, (_, i) => [i + 1, `item ${Math.sin(i)} ${Math.cos(i)}`]),
      );
      way.trouble = { kind: 'slow', bytesPerSecond: 1500 };
      const totals = new Set<number>();
      const each = (agent: Agent) => {
        const { phase } = agent.facts();
        if (phase.kind === 'syncing') totals.add(phase.progress.total);
      };
      expect(await pull({ watch, each })).toMatchObject({ outcome: 'done', updated: 1000, retries: 0 });
      expect(totals).toContain(1000);
    },
  );

  test.each([
    ['copy-cut-short', { kind: 'truncate', after: 2000 }, 'relay_unreachable'],
    ['copy-with-flipped-bit', { kind: 'flip' }, 'snapshot_corrupt'],
  ] as const)('%s: nothing is put in place, and the next pull completes', async (_, trouble, code) => {
    await relay.base(2000, (n) => `item ${Math.sin(n)}`);
    way.trouble = trouble;
    // The relay may still be building the snapshot.
    const failed = await until(
      async () => {
        const tried = await pull();
        return tried.fault?.code === 'snapshot_building' ? false : tried;
      },
      () => 'the relay did not build the snapshot',
    );
    expect(failed).toMatchObject({ outcome: 'failed', fault: { code } });
    expect(seqHere()).toBe(0);
    way.trouble = { kind: 'none' };
    expect((await pull()).outcome).toBe('done');
    expect(rows()).toHaveLength(2000);
  });

  test('refuses pages out of order, of another epoch and of another feed, and leaves the replica unchanged', async () => {
    await relay.base(10);
    expect((await pull()).outcome).toBe('done');
    for (let n = 1; n <= 3; n++) await relay.commit('u', [[n, `changed ${n}`]]);
    const status = RelayStatus.parse(await (await relay.get('/v1/feeds/shop/status')).json());
    const epoch = status.head?.epoch ?? '';
    const next = await relay.page(epoch, '1', 4);
    const later = await relay.page(epoch, '2', 4);
    const replica = Replica.open(database(), 'shop');
    try {
      const before = replica.cursorState();
      const refuses = (page: Buffer, code: string) => {
        let thrown: TidemarkError | null = null;
        try {
          replica.applyPage(verifyPage(page));
        } catch (error) {
          thrown = error as TidemarkError;
        }
        expect(thrown?.code).toBe(code);
        expect(replica.cursorState()).toEqual(before);
      };
      refuses(later, 'page_out_of_order');
      refuses(
        reseal(next, (text) => text.replace(epoch, 'zzzzzzzzzz')),
        'page_other_epoch',
      );
      refuses(
        reseal(next, (text) => text.replace('"shop"', '"other"')),
        'page_invalid',
      );
      refuses(
        reseal(next, (text) => text.replace('["c",3,1]\n', '')),
        'page_invalid',
      );
      refuses(
        reseal(next, (text) => text.replace('["c",3,1]', '["c",3,2]')),
        'page_invalid',
      );
      refuses(next.subarray(0, next.length - 40), 'page_corrupt');
      expect(replica.applyPage(verifyPage(next))).toMatchObject({ transactions: 3, changes: 3 });
      refusesTwice(replica, next);
    } finally {
      replica.close();
    }
    expect(rows().slice(0, 3)).toEqual([
      [1, 'changed 1'],
      [2, 'changed 2'],
      [3, 'changed 3'],
    ]);
  });

  test('detects a relay that was restored to an older state', async () => {
    await relay.base(10);
    await relay.commit('u', [[1, 'x']]);
    expect((await pull()).outcome).toBe('done');
    const status = RelayStatus.parse(await (await relay.get('/v1/feeds/shop/status?epoch=zzzzzzzz&seq=5')).json());
    expect(status.plan).toMatchObject({ by: 'snapshot', reason: 'epoch_changed' });
    const ahead = await relay.get(`/v1/feeds/shop/status?epoch=${status.head?.epoch}&seq=5`);
    expect(RelayStatus.parse(await ahead.json()).plan).toMatchObject({ by: 'snapshot', reason: 'cursor_ahead' });
  });
});

function refusesTwice(replica: Replica, page: Buffer): void {
  expect(() => replica.applyPage(verifyPage(page))).toThrowError(
    expect.objectContaining({ code: 'page_out_of_order' }),
  );
}

/** A page with other lines and a matching checksum. */
function reseal(page: Buffer, change: (text: string) => string): Buffer {
  const { createHash } = process.getBuiltinModule('node:crypto');
  const lines = page.toString().trimEnd().split('\n');
  const trailer = JSON.parse(lines.pop() ?? '') as Record<string, unknown>;
  const body = change(`${lines.join('\n')}\n`);
  const sha256 = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`${body}${JSON.stringify({ ...trailer, sha256 })}\n`);
}

describe('transactions', () => {
  test('S5 oversized-transaction: shows a transaction that spans pages completely or not at all, even after a kill', async () => {
    await relay.base(10);
    expect((await pull()).outcome).toBe('done');
    const before = rows();
    await relay.commit(
      'i',
      Array.from({ length: 60_000 }, (_, i) => [100 + i, `row ${i} ${'x'.repeat(60)}`]),
    );
    const { head } = RelayStatus.parse(await (await relay.get('/v1/feeds/shop/status')).json());
    const epoch = head?.epoch ?? '';
    let replica = Replica.open(database(), 'shop');
    const first = replica.applyPage(verifyPage(await relay.page(epoch, '1', 2)));
    expect(first.start.part).toBeGreaterThan(0);
    expect(first).toMatchObject({ cursor: { seq: 1 }, transactions: 0, changes: 0 });
    replica.applyPage(verifyPage(await relay.page(epoch, `1.${first.start.part}`, 2)));
    expect(rows()).toEqual(before);
    replica.close();
    // As after a kill: the spooled part is present, but readers do not see it.
    replica = Replica.open(database(), 'shop');
    expect(replica.cursorState().start.part).toBeGreaterThan(first.start.part);
    replica.close();
    expect((await pull()).outcome).toBe('done');
    expect(rows()).toHaveLength(60_010);
    expect(seqHere()).toBe(2);
  });

  test('S6 readers see the state before or after a page, and are never blocked', async () => {
    await relay.base(1000, () => 'v0');
    expect((await pull()).outcome).toBe('done');
    const reader = new Database(database(), { readonly: true });
    const seen = reader.prepare('SELECT count(DISTINCT name) AS kinds, min(name) AS name FROM item');
    for (let n = 1; n <= 3; n++) {
      await relay.commit(
        'u',
        Array.from({ length: 1000 }, (_, i) => [i + 1, `v${n}`]),
      );
      const pulling = pull();
      let looks = 0;
      let done = false;
      void pulling.then(() => {
        done = true;
      });
      while (!done) {
        const { kinds, name } = seen.get() as { kinds: number; name: string };
        expect(kinds).toBe(1);
        expect([`v${n - 1}`, `v${n}`]).toContain(name);
        looks++;
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(looks).toBeGreaterThan(0);
      expect(seen.get()).toEqual({ kinds: 1, name: `v${n}` });
    }
    reader.close();
  });
});

describe('the local database', () => {
  test('names a folder, a file that is not SQLite, of a newer version, of another feed or in use, and does not change it', async () => {
    await relay.base(3);
    const refused = async (file: string, code: string) => {
      const ended = await run('terminal', args('pull', { db: file }));
      expect(ended.stderr).toMatch(new RegExp(`^${code}: `));
      expect(ended.code).toBe(1);
    };
    mkdirSync(path.join(folder, 'folder.sqlite'));
    await refused(path.join(folder, 'folder.sqlite'), 'db_is_directory');
    const text = path.join(folder, 'text.sqlite');
    writeFileSync(text, 'this is a text, and quite a long one, so that it is more than a header '.repeat(20));
    await refused(text, 'db_not_sqlite');
    await refused(path.join(folder, 'missing/branch.sqlite'), 'db_unavailable');
    expect((await run('terminal', args('pull'))).code).toBe(0);
    const newer = path.join(folder, 'newer.sqlite');
    copyFileSync(database(), newer);
    const db = new Database(newer);
    db.pragma('user_version = 99');
    db.close();
    await refused(newer, 'db_newer_version');
    const other = path.join(folder, 'other.sqlite');
    copyFileSync(database(), other);
    const another = new Database(other);
    another.exec("UPDATE tidemark_meta SET feed = 'another'");
    // Data without a cursor still counts as data.
    for (const lost of ['epoch = NULL', 'seq = -1']) {
      await refused(other, 'db_other_feed');
      another.exec(`UPDATE tidemark_meta SET ${lost}`);
    }
    await refused(other, 'db_other_feed');
    another.close();
    const held = Replica.open(database(), 'shop');
    await refused(database(), 'db_in_use');
    held.close();
    expect(rows()).toHaveLength(3);
  });

  test('names a read-only file, whose data stays readable', async () => {
    await relay.base(3);
    expect((await run('terminal', args('pull'))).code).toBe(0);
    // Permissions do not apply to root, so the command runs as another user.
    const asRoot = process.getuid?.() === 0;
    chmodSync(database(), 0o444);
    chmodSync(folder, 0o555);
    if (asRoot) for (const file of [relay.folder, relay.tokenFile('terminal')]) chownSync(file, 65_534, 65_534);
    const child = spawn(process.execPath, [COMMANDS.terminal, ...args('pull')], {
      ...(asRoot ? { uid: 65_534, gid: 65_534 } : {}),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    chmodSync(folder, 0o755);
    expect(said).toContain('db_read_only: ');
    expect(code).toBe(1);
    expect(rows()).toHaveLength(3);
  });

  test('does not touch a table of the same name that another program created', async () => {
    await relay.base(3);
    const db = new Database(database());
    db.exec("CREATE TABLE item (mine TEXT); INSERT INTO item VALUES ('mine')");
    db.close();
    const ended = await run('terminal', args('pull'));
    expect(ended.stderr).toMatch(/^name_clash: .*item/);
    const still = new Database(database(), { readonly: true });
    expect(still.prepare('SELECT mine FROM item').pluck().all()).toEqual(['mine']);
    still.close();
  });
});

describe('the command', () => {
  test('names every mistake of usage and configuration, and never shows a secret', async () => {
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

  test('leaves the file free for another feed after the relay refused a feed', async () => {
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
    way.trouble = { kind: 'cut' };
    const cut = await run('terminal', args('status'));
    expect(cut).toMatchObject({ code: 1 });
    expect(cut.stderr).toMatch(/^relay_unreachable: /);
    expect(cut.stdout).toContain('Position 1');
    expect(cut.stdout).toMatch(
      /^Cannot reach \S+\. \S+ did not answer .*\. It last answered .*\. Showing data as of .*\. Local data is safe\n/,
    );
  });

  test('shows progress in one line, and clears it at the end', async () => {
    await relay.base(2000, (n) => `item ${Math.sin(n)} ${Math.cos(n)}`);
    way.trouble = { kind: 'slow', bytesPerSecond: 40_000 };
    const told: { shown: (string | null)[]; printed: string[] } = { shown: [], printed: [] };
    await pullOnce({
      settings: {
        ...{ relayUrl: way.url, feed: 'shop', token: new Secret(relay.token('terminal')) },
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

  test('resumes a download that was killed', async () => {
    await relay.base(40_000, (n) => `item ${Math.sin(n)}`);
    expect((await run('terminal', args('pull', { db: path.join(folder, 'first.sqlite') }))).code).toBe(0);
    way.trouble = { kind: 'slow', bytesPerSecond: 400_000 };
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
    way.trouble = { kind: 'none' };
    way.asked.length = 0;
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
