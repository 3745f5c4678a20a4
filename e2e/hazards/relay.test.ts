import { existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RelayStatus } from '@tidemark/protocol/api';
import type { BatchLine } from '@tidemark/protocol/lines';
import { readConfig } from '@tidemark/relay-server/config/relay-config';
import { Tokens } from '@tidemark/relay-server/tokens/tokens';
import { run } from '@tidemark/testing/processes';
import { batchOf, ITEM, position, TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let relay: TestRelay;
beforeEach(async () => {
  relay = await TestRelay.start();
});
afterEach(() => relay.stop());

const AT = '2026-11-23T08:00:00.000000Z';
const status = async () => RelayStatus.parse(await (await relay.get('/v1/feeds/shop/status')).json());

describe('authentication', () => {
  test.each([
    ['wrong-token', 'no-such-token', '/v1/feeds/shop/status', 401, 'token_invalid'],
    ['wrong-role', 'feed', '/v1/feeds/shop/status', 403, 'role_denied'],
    ['wrong-feed', 'other', '/v1/feeds/shop/status', 403, 'feed_denied'],
    ['wrong-feed on a page', 'other', '/v1/feeds/shop/pages/aaaaaaaaaa/all/1/1', 403, 'feed_denied'],
    ['wrong-feed on a snapshot', 'other', '/v1/feeds/shop/snapshot', 403, 'feed_denied'],
  ])('rejects %s with its error code', async (_, who, route, code, problem) => {
    const token = who === 'feed' || who === 'other' ? relay.token(who) : who;
    const answer = await relay.get(route, token);
    expect(answer.status).toBe(code);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    const body = (await answer.json()) as Record<string, unknown>;
    expect(body.code).toBe(problem);
    expect(body.requestId).toBeTruthy();
    expect(JSON.stringify(body)).not.toContain(token);
  });

  test('rejects batches from a terminal', async () => {
    const answer = await fetch(`${relay.url}/v1/feeds/shop/session`, {
      method: 'POST',
      headers: { authorization: `Bearer ${relay.token('terminal')}` },
      body: '{}',
    });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ code: 'role_denied', params: { need: 'feed' } });
  });

  test('rejects a revoked token immediately', async () => {
    const revoked = await run('relay', ['token', 'revoke', '--config', relay.config, '--name', 'branch-7']);
    expect(revoked).toMatchObject({ code: 0 });
    expect((await relay.get('/v1/feeds/shop/status')).status).toBe(401);
  });

  const tokenFile = () => path.join(relay.folder, 'relay.tokens.json');
  const data = () => path.join(relay.folder, 'relay-data');

  test('lost-relay-disk: keys survive the loss of the data folder', async () => {
    await relay.restart('{}', Date.now(), () => rmSync(data(), { recursive: true }));
    expect((await relay.get('/v1/feeds/shop/status')).status).toBe(200);
    expect(readFileSync(tokenFile(), 'utf8')).not.toContain(relay.token('terminal'));
  });

  test('imports keys that an older relay kept in the data folder', async () => {
    const { tokens } = JSON.parse(readFileSync(tokenFile(), 'utf8')) as { tokens: Record<string, unknown>[] };
    await relay.restart('{}', Date.now(), () => {
      rmSync(tokenFile());
      const db = new Database(path.join(data(), 'relay.sqlite'));
      db.exec(`CREATE TABLE token (name TEXT NOT NULL, feed TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
        attributes TEXT NOT NULL, created_at TEXT NOT NULL, seen_at TEXT, PRIMARY KEY (feed, name))`);
      const insert = db.prepare(
        'INSERT INTO token VALUES (@name, @feed, @sha256, @role, @attributes, @createdAt, NULL)',
      );
      for (const each of tokens) insert.run({ ...each, attributes: JSON.stringify(each.attributes) });
      db.close();
    });
    expect((await relay.get('/v1/feeds/shop/status')).status).toBe(200);
    expect(JSON.parse(readFileSync(tokenFile(), 'utf8'))).toEqual({ tokens });
    const revoked = await run('relay', ['token', 'revoke', '--config', relay.config, '--name', 'branch-7']);
    expect(revoked).toMatchObject({ code: 0 });
    await relay.restart('{}', Date.now());
    expect((await relay.get('/v1/feeds/shop/status')).status).toBe(401);
  });

  test('concurrent token commands wait for each other, even after one was killed', async () => {
    writeFileSync(`${tokenFile()}.new`, 'half');
    utimesSync(`${tokenFile()}.new`, 1, 1);
    const at = ['--config', relay.config, '--feed', 'shop'];
    const added = await Promise.all(
      [1, 2, 3, 4].map((n) => run('relay', ['token', 'add', ...at, '--role', 'terminal', '--name', `pc-${n}`])),
    );
    expect(added.map(({ code, stderr }) => [code, stderr])).toEqual(added.map(() => [0, '']));
    for (const { stdout } of added)
      expect((await relay.get('/v1/feeds/shop/status', stdout.trim())).status, stdout).toBe(200);
  });

  test('reports a damaged token file by name and leaves it unchanged', async () => {
    writeFileSync(tokenFile(), '{"tokens": [{"name": 1}]}');
    for (const args of [
      ['serve'],
      ['token', 'list'],
      ['token', 'add', '--feed', 'shop', '--role', 'terminal', '--name', 'x'],
    ]) {
      const ended = await run('relay', [...args, '--config', relay.config]);
      expect(ended).toMatchObject({ code: 78, stderr: expect.stringContaining('relay.tokens.json cannot be read') });
    }
    expect(readFileSync(tokenFile(), 'utf8')).toBe('{"tokens": [{"name": 1}]}');
    expect(existsSync(`${tokenFile()}.new`)).toBe(false);
  });
});

describe('bad requests', () => {
  test.each([
    ['/v1/feeds/shop/status?seq=-1&epoch=aaaaaaaa', 'seq'],
    ['/v1/feeds/shop/status?wait=99', 'wait'],
    ['/v1/feeds/shop/pages/aaaaaaaa/all/01/5', 'start'],
    ['/v1/feeds/shop/transactions?epoch=aaaaaaaa&after=x', 'after'],
  ])('names the invalid field of %s', async (route, field) => {
    const answer = await relay.get(route);
    expect(answer.status).toBe(400);
    const body = (await answer.json()) as { code: string; title: string };
    expect(body.code).toBe('request_invalid');
    expect(body.title).toContain(field);
  });

  test('answers a terminal with feed_empty before the first base copy', async () => {
    const answer = await relay.get('/v1/feeds/shop/snapshot');
    expect(await answer.json()).toMatchObject({ code: 'feed_empty', retry: true });
    expect((await status()).head).toBeNull();
  });

  test('reports why a page does not exist', async () => {
    await relay.base(3);
    const { head } = await status();
    const ask = async (route: string) => ((await (await relay.get(route)).json()) as { code: string }).code;
    expect(await ask(`/v1/feeds/shop/pages/${head?.epoch}/all/1/9`)).toBe('target_invalid');
    expect(await ask(`/v1/feeds/shop/pages/${head?.epoch}/all/7/9`)).toBe('cursor_ahead');
    expect(await ask('/v1/feeds/shop/pages/zzzzzzzzzz/all/1/1')).toBe('epoch_changed');
    // No build can reach this seq. The relay would build again for each request.
    expect(await ask(`/v1/feeds/shop/snapshot?epoch=${head?.epoch}&from=9`)).toBe('cursor_ahead');
    expect(await ask(`/v1/feeds/shop/pages/${head?.epoch}/branch7/1/1`)).toBe('scope_denied');
  });
});

describe('batches', () => {
  const change: BatchLine = ['b', position(50), AT];
  const good = batchOf([change, ['i', 1, [[4, 'four']]], ['c', 1]]);
  const flipped = Buffer.from(good);
  flipped[20] = (flipped[20] ?? 0) ^ 1;

  test.each([
    ['cut short', good.subarray(0, good.length - 30), 'batch_corrupt'],
    ['with a flipped bit', flipped, 'batch_corrupt'],
    ['with an undeclared table', batchOf([change, ['i', 9, [[4, 'x']]], ['c', 1]]), 'batch_invalid'],
    ['with a row that is too short', batchOf([change, ['i', 1, [[4]]], ['c', 1]]), 'batch_invalid'],
    ['with a wrong count', batchOf([change, ['i', 1, [[4, 'x']]], ['c', 2]]), 'batch_invalid'],
    ['with an unknown kind of line', batchOf([change, ['q', 1], ['c', 0]]), 'batch_invalid'],
    ['with a value of no wire type', batchOf([change, ['i', 1, [[{ a: 1 }, 'x']]], ['c', 1]]), 'batch_invalid'],
  ])('rejects and discards a batch %s', async (_, bytes, code) => {
    await relay.base(3);
    const before = await status();
    await expect(relay.send(bytes)).rejects.toMatchObject({ code });
    expect((await status()).head).toEqual(before.head);
    // The feed opens another session and continues.
    await relay.session();
    await relay.send(batchOf([['s', 1, ITEM], change, ['i', 1, [[4, 'four']]], ['c', 1]]));
    expect((await status()).head?.seq).toBe(2);
  });

  test('applies a repeated batch only once, and rejects one out of order', async () => {
    await relay.base(3);
    const answer = await relay.link.session({ protocol: 1, source: { kind: 'postgres', id: 'test' }, version: 'x' });
    const post = (number: number, body: Buffer) =>
      fetch(`${relay.url}/v1/feeds/shop/batches`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${relay.token('feed')}`,
          'tidemark-session': answer.session,
          'tidemark-batch': String(number),
        },
        body,
      });
    const batch = batchOf([['s', 1, ITEM], change, ['i', 1, [[4, 'four']]], ['c', 1]]);
    const first = await (await post(1, batch)).json();
    expect(await (await post(1, batch)).json()).toEqual(first);
    expect((await status()).head?.seq).toBe(2);
    expect(await (await post(5, batch)).json()).toMatchObject({ code: 'batch_out_of_order' });
  });

  test('ignores a transaction that the relay already has', async () => {
    await relay.base(3);
    await relay.send(good);
    await relay.session();
    await relay.send(batchOf([['s', 1, ITEM], change, ['i', 1, [[4, 'four']]], ['c', 1]]));
    expect((await status()).head?.seq).toBe(2);
  });

  test('a second feed process takes over, and the relay rejects the first', async () => {
    await relay.base(3);
    const first = relay.send;
    await relay.session();
    await expect(first(good)).rejects.toMatchObject({ code: 'session_superseded' });
  });

  test('drops an incomplete transaction when its feed opens another session', async () => {
    await relay.base(3);
    await relay.send(batchOf([change, ['i', 1, [[4, 'half']]]]));
    expect((await status()).head?.seq).toBe(1);
    await relay.session();
    await relay.send(batchOf([['s', 1, ITEM], change, ['i', 1, [[4, 'whole']]], ['c', 1]]));
    const { head } = await status();
    const page = (await relay.page(head?.epoch ?? '', '1', 2)).toString();
    expect(page).toContain('whole');
    expect(page).not.toContain('half');
  });
});

test('config-three-mistakes: reports all three mistakes with their lines and exits with 78', async () => {
  const file = path.join(relay.folder, 'bad.yaml');
  writeFileSync(file, 'listen: nowhere\ndata: ./d\nfeeds:\n  Shop!: {}\n  shop:\n    tabels: {}\n');
  const ended = await run('relay', ['serve', '--config', file]);
  expect(ended.code).toBe(78);
  expect(ended.stderr).toMatch(/^config_invalid: /);
  for (const words of ['line 1: listen', 'line 4: feeds.Shop!', 'line 6: feeds.shop.tabels'])
    expect(ended.stderr).toContain(words);
});

test.each([
  [
    'listen: 4600\ndata: ./d\nfeeds: [shop]\n',
    ['line 1: listen: write it as address:port', 'line 3: feeds: write names below it'],
  ],
  ['feeds:\n  shop: all\n', ['data: is missing: write a text', 'line 2: feeds.shop: write fields below it']],
  ['data: ./d\nfeeds:\n  shop:\n    tables: [item]\n', ['line 4: feeds.shop.tables: write names below it']],
  [
    'data: ./d\nfeeds:\n  shop:\n    retention: { days: "3", megabytes: 0 }\n',
    ['line 4: feeds.shop.retention.days: write a number', 'line 4: feeds.shop.retention.megabytes: more than 0'],
  ],
  ['data: ./d\nfeeds:\n  shop:\n    retention: { days: 40000 }\n', ['days: at most 36500']],
  [
    'data: ./d\nfeeds:\n  shop:\n    tables:\n      item: { columns: id }\n',
    ['line 5: feeds.shop.tables.item.columns: write a list'],
  ],
  ['data: ./d\n---\nfeeds: {}\n', ['line 2: a second document begins']],
  ['data: ./d\nfeeds:\n  Shop: {}\n', ['line 3: feeds.Shop: a feed name has']],
  ['data: ./d\nfeeds:\n  shop:\n    tables: *nothing\n', ['line 4: *nothing: there is no &nothing above']],
  [
    'data: &a [x,x,x,x,x,x,x,x,x]\nfeeds: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n',
    ['line 4: too many aliases'],
  ],
])('config-mistakes are named with line and what to write: %j', async (text, says) => {
  const file = path.join(relay.folder, 'bad.yaml');
  writeFileSync(file, text);
  expect(() => readConfig(file)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  for (const words of says) expect(() => readConfig(file)).toThrow(words);
  expect(() => readConfig(file)).not.toThrow(/expected|received|Invalid|Too /);
});

test('reports an address in use, and a folder that cannot be created, and exits with 78', async () => {
  const taken = path.join(relay.folder, 'taken.yaml');
  writeFileSync(taken, `listen: ${relay.url.slice('http://'.length)}\ndata: ./other\nfeeds:\n  shop: {}\n`);
  const first = await run('relay', ['serve', '--config', taken]);
  expect(first).toMatchObject({
    code: 78,
    stderr: expect.stringMatching(/taken.yaml line 1: listen: .* another program uses it/),
  });
  const folder = path.join(relay.folder, 'folder.yaml');
  writeFileSync(folder, 'listen: 127.0.0.1:0\ndata: ./taken.yaml\nfeeds:\n  shop: {}\n');
  const second = await run('relay', ['serve', '--config', folder]);
  expect(second).toMatchObject({
    code: 78,
    stderr: expect.stringMatching(/folder.yaml line 2: data: .* it is not a folder/),
  });
});

test.each([
  [['token', 'add', '--role', 'king', '--feed', 'shop', '--name', 'x'], '--role'],
  [['token', 'add', '--role', 'terminal', '--feed', 'nowhere', '--name', 'x'], '--feed'],
  [['token', 'add', '--role', 'terminal', '--feed', 'shop', '--name', 'x', '--set', 'branch'], '--set'],
  [['token', 'revoke', '--name', 'nobody'], '--name'],
  [['tokens'], 'tokens'],
])('reports the mistake in the arguments %j and exits with 2', async (args, named) => {
  const ended = await run('relay', args[0] === 'token' ? [...args, '--config', relay.config] : args);
  expect(ended.code).toBe(2);
  expect(ended.stderr).toContain(named);
});

test('a status answer is at most 1 kB and forbids caching', async () => {
  await relay.base(3);
  const answer = await relay.get('/v1/feeds/shop/status?epoch=zzzzzzzz&seq=1');
  expect((await answer.clone().arrayBuffer()).byteLength).toBeLessThanOrEqual(1024);
  expect(answer.headers.get('cache-control')).toContain('no-store');
});

test('operations: serves health, readiness, metrics and the API description', async () => {
  const tokens = new Tokens(readConfig(relay.config));
  const admin = tokens.add({ name: 'ops', role: 'admin', feed: 'shop', attributes: {} }, new Date());
  tokens.close();
  await relay.base(3);
  expect((await fetch(`${relay.url}/healthz`)).status).toBe(200);
  // The feed `other` has never connected. The relay must be ready nevertheless.
  const ready = await fetch(`${relay.url}/readyz`);
  expect(await ready.json()).toMatchObject({
    ready: true,
    checks: [
      { name: 'accepting', ok: true },
      { name: 'store other', ok: true },
      { name: 'store shop', ok: true },
    ],
    feeds: [
      { name: 'other', connected: false },
      { name: 'shop', connected: true },
    ],
  });
  expect(ready.status).toBe(200);
  expect(await (await relay.get('/metrics', admin)).text()).toMatch(/relay_head_seq\{feed="shop"\} 1/);
  const api = (await (await fetch(`${relay.url}/openapi.json`)).json()) as { paths: Record<string, unknown> };
  expect(Object.keys(api.paths)).toContain('/v1/feeds/{feed}/status');
});

describe('retention', () => {
  const DAY = 86_400_000;
  const ask = async (seq: number) => {
    const { head } = await status();
    const answer = await relay.get(`/v1/feeds/shop/status?epoch=${head?.epoch}&seq=${seq}`);
    return RelayStatus.parse(await answer.json());
  };

  test('R1 old-increments: drops old transactions, moves the horizon, and counts and serves the rest', async () => {
    await relay.base(10);
    for (let n = 1; n <= 6; n++) await relay.commit('u', [[n, `changed ${n}`]]);
    const before = await ask(5);
    await relay.restart('{ retention: { days: 10 } }', Date.parse(AT) + 11 * DAY);
    // All transactions are too old. The totals at the head remain, because later counts start from them.
    expect((await ask(7)).horizon).toBe(7);
    expect((await ask(7)).plan).toEqual({ by: 'none' });
    expect((await ask(5)).plan).toMatchObject({ by: 'snapshot', reason: 'behind_horizon' });
    const page = await relay.get(`/v1/feeds/shop/pages/${before.head?.epoch}/all/5/7`);
    expect(await page.json()).toMatchObject({ code: 'behind_horizon', retry: false });
    await relay.session();
    await relay.commit('u', [[1, 'newer']]);
    expect((await ask(7)).behind).toMatchObject({ transactions: 1, changes: 1 });
    const tables = await relay.get(`/v1/feeds/shop/tables?epoch=${before.head?.epoch}&seq=7`);
    expect(await tables.json()).toMatchObject({ tables: [{ name: 'item', waiting: 1 }] });
    expect((await relay.page(before.head?.epoch ?? '', '7', 8)).toString()).toContain('newer');
  });

  test('R2 large-log: drops the oldest transactions when the log exceeds its size limit', async () => {
    await relay.base(1);
    const long = 'x'.repeat(100_000);
    for (let n = 1; n <= 10; n++) await relay.commit('u', [[1, `${n}${long}`]]);
    const whole = await ask(1);
    expect(whole.behind).toMatchObject({ transactions: 10 });
    await relay.restart('{ retention: { megabytes: 0.35 } }', Date.parse(AT));
    const after = await ask(11);
    expect(after.horizon).toBe(8);
    expect((await ask(8)).behind).toMatchObject({ transactions: 3 });
    expect((await ask(7)).plan).toMatchObject({ by: 'snapshot', reason: 'behind_horizon' });
  });

  test('R3 does not serve a snapshot from before the horizon', async () => {
    await relay.base(3);
    const copy = async () =>
      (await relay.get('/v1/feeds/shop/snapshot')).json() as Promise<{ cursor?: { seq: number } }>;
    await expect.poll(async () => (await copy()).cursor?.seq).toBe(1);
    for (let n = 1; n <= 3; n++) await relay.commit('u', [[n, 'x']]);
    expect((await copy()).cursor?.seq).toBe(1);
    await relay.restart('{ retention: { days: 1 } }', Date.parse(AT) + 2 * DAY);
    await expect.poll(async () => (await copy()).cursor?.seq).toBe(4);
  });

  test('R3 unfinished-snapshot: a start removes files without a valid manifest, and keeps a complete snapshot', async () => {
    await relay.base(3);
    const copy = async () => (await relay.get('/v1/feeds/shop/snapshot')).status;
    await expect.poll(copy).toBe(200);
    const folder = path.join(relay.folder, 'relay-data/shop/snapshots');
    const complete = readdirSync(folder).sort();
    await relay.restart('{}', Date.parse(AT), () => {
      for (const name of ['building-1.sqlite', 'aaaaaaaa-all-7.sqlite', 'aaaaaaaa-all-7.sqlite.zstd'])
        writeFileSync(path.join(folder, name), 'unfinished');
      writeFileSync(path.join(folder, 'aaaaaaaa-all-8.sqlite.json'), '{"feed":');
    });
    expect(readdirSync(folder).sort()).toEqual(complete);
    expect(await copy()).toBe(200);
  });

  test('R1 sync-before: status reports until when the backlog is kept, by age or by the current growth of the log', async () => {
    await relay.base(1);
    const long = 'x'.repeat(10_000);
    const minute = (n: number) => new Date(Date.parse(AT) + n * 60_000).toISOString();
    for (let n = 1; n <= 10; n++)
      await relay.transaction(
        [
          ['s', 1, ITEM],
          ['u', 1, [[1, `${n}${long}`]]],
        ],
        minute(n),
      );
    expect((await ask(11)).keepsUntil).toBe(null);
    await relay.restart('{ retention: { days: 3 } }', Date.parse(minute(10)));
    expect((await ask(3)).keepsUntil).toBe(Date.parse(minute(3)) + 3 * DAY);
    // The log grew by 90 kB in nine minutes, so the remaining 100 kB last ten minutes, and longer for a smaller
    // backlog.
    await relay.restart('{ retention: { days: 3, megabytes: 0.2 } }', Date.parse(minute(10)));
    const left = async (seq: number) => (((await ask(seq)).keepsUntil ?? Number.NaN) - Date.parse(minute(10))) / 60_000;
    expect(await left(1)).toBeCloseTo(10, 0);
    expect(await left(6)).toBeCloseTo(15, 0);
  });
});
