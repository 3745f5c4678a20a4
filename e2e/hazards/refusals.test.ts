import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { ERRORS } from '@tidemark/protocol/errors';
import { mayRefuse } from '@tidemark/protocol/refusals';
import { readConfig } from '@tidemark/relay-server/config/relay-config';
import { Tokens } from '@tidemark/relay-server/tokens/tokens';
import { TestRelay } from '@tidemark/testing/test-relay';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/**
 * How the relay refuses requests: which code each caller receives, how many lines the log gets, and that no request of a
 * caller is `internal`.
 */

let relay: TestRelay;
beforeEach(async () => {
  relay = await TestRelay.start();
});
afterEach(() => relay.stop());

interface Answer {
  status: number;
  body: string;
  code: string | undefined;
}

/** Sends a request with any method, address and headers. */
function send(
  target: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { method?: string; headers?: http.OutgoingHttpHeaders | string[]; body?: Buffer | string } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(relay.url);
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, method, path: target, headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: text, code: codeOf(text) }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Sends bytes and returns everything that the relay answers until it closes the connection. */
function sendRaw(bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(relay.url);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect(Number(port), hostname, () => socket.write(bytes));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('close', () => resolve(text)).on('error', reject);
  });
}

function codeOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { code?: string }).code;
  } catch {
    return undefined;
  }
}

const STATUS = '/v1/feeds/shop/status';
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

describe('bad keys behind a reverse proxy', () => {
  const hammer = async (headers: Record<string, string>) => {
    const codes: (string | undefined)[] = [];
    for (let n = 0; n < 130; n++) codes.push((await send(STATUS, { headers })).code);
    return codes;
  };

  test('a client that repeats a bad key is asked to wait, and every other client hears that its key is not accepted', async () => {
    const codes = await hammer({ ...bearer('bad-key'), 'x-forwarded-for': '203.0.113.5' });
    expect(codes.slice(0, 120).every((code) => code === 'token_invalid')).toBe(true);
    expect(codes.slice(120).every((code) => code === 'relay_busy')).toBe(true);
    for (const other of ['203.0.113.6', '2001:db8::7', '203.0.113.8:5555'])
      expect((await send(STATUS, { headers: { ...bearer('bad-key'), 'x-forwarded-for': other } })).code).toBe(
        'token_invalid',
      );
  });

  test('a proxy that names no client does not make other keys busy', async () => {
    await hammer(bearer('bad-key'));
    expect((await send(STATUS, { headers: bearer('bad-key') })).code).toBe('relay_busy');
    expect((await send(STATUS, { headers: bearer('revoked-key') })).code).toBe('token_invalid');
    expect((await send(STATUS, { headers: bearer(relay.token('terminal')) })).status).toBe(200);
  });

  test('an address that no trusted proxy reports is not believed', async () => {
    await relay.restart('{}\ntrustedProxies: [10.0.0.0/8]', Date.now());
    const codes: (string | undefined)[] = [];
    for (let n = 0; n < 125; n++)
      codes.push((await send(STATUS, { headers: { ...bearer('bad-key'), 'x-forwarded-for': `203.0.113.${n}` } })).code);
    expect(codes.at(-1)).toBe('relay_busy');
  });

  test.each(['10.0.0.0/33', 'localhost', '::1/129', '10.0.0.1/8/8', 'all'])(
    'relay.yaml refuses %s as a trusted proxy and names the line',
    (proxy) => {
      const file = path.join(relay.folder, 'other.yaml');
      writeFileSync(file, `data: d\ntrustedProxies: ["${proxy}"]\nfeeds: { shop: {} }\n`);
      expect(() => readConfig(file)).toThrow(/line 2: trustedProxies\.0: write an IP address or a network/);
    },
  );
});

describe('metrics', () => {
  test('metrics need the key of an administrator, whatever headers a proxy adds or omits', async () => {
    const tokens = new Tokens(readConfig(relay.config));
    const admin = tokens.add({ name: 'ops', role: 'admin', feed: 'shop', attributes: {} }, new Date());
    tokens.close();
    for (const headers of [{}, { 'x-forwarded-for': '127.0.0.1' }, { forwarded: 'for=127.0.0.1' }, { via: '1.1 p' }])
      expect(await send('/metrics', { headers })).toMatchObject({ status: 401, code: 'token_invalid' });
    expect((await send('/metrics', { headers: bearer(relay.token('terminal')) })).code).toBe('role_denied');
    const answer = await send('/metrics', { headers: bearer(admin) });
    expect(answer.status).toBe(200);
    expect(answer.body).toContain('relay_head_seq{feed="shop"}');
  });

  test('the listener of `metrics` serves metrics without a key, and nothing else', async () => {
    const port = await freePort();
    await relay.restart(`{}\nmetrics: 127.0.0.1:${port}`, Date.now());
    const metrics = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(await metrics.text()).toContain('relay_head_seq{feed="shop"}');
    for (const route of ['/', '/readyz', STATUS, '/openapi.json'])
      expect((await fetch(`http://127.0.0.1:${port}${route}`)).status).toBe(404);
    expect((await send('/metrics')).code).toBe('token_invalid');
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

describe('malformed requests', () => {
  test.each([
    '/v1/feeds/%ff/status',
    '/v1/feeds/%/status',
    '/v1/feeds/%E0%A4%A/status',
    '/v1/feeds/shop/pages/%c0%af/all/1/1',
  ])('%s is request_invalid and names the reason', async (target) => {
    const answer = await send(target, { headers: bearer(relay.token('terminal')) });
    expect(answer).toMatchObject({ status: 400, code: 'request_invalid' });
    expect(answer.body).toContain('percent-encoding');
  });

  test('no path, method, header or encoding of a caller is internal', async () => {
    await relay.base(5);
    const pieces = [
      ...[
        '',
        '%00',
        '%2e%2e',
        '..',
        '%ff',
        '%2F',
        '__proto__',
        'constructor',
        '-1',
        '1e999',
        '9007199254740993',
        'a'.repeat(3000),
      ],
      ...['é', '%F0%9F%92%A9', '%', '*', '+', ';', '%0d%0aset-cookie:x'],
    ];
    const methods = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'TRACE'];
    const headers: http.OutgoingHttpHeaders[] = [
      {},
      { 'accept-encoding': ';;q=,,zstd;q=NaN, *;q=-1' },
      { 'accept-encoding': 'gzip,'.repeat(2000) },
      { range: 'bytes=5-1,,-', 'if-range': '"x' },
      { 'content-encoding': 'gzip', 'content-type': 'x' },
      { 'tidemark-protocol': '1, 1' },
      { 'tidemark-batch': '1e3', 'tidemark-session': '%ff' },
      { upgrade: 'h2c', connection: 'upgrade, http2-settings', 'http2-settings': 'AAMAAABkAAQAAP__' },
      { 'x-forwarded-for': 'unknown, 1.2.3.4.5, \u00ff, [::1' },
      { 'x-http-method-override': 'DELETE', cookie: 'a=\u00e9' },
    ];
    const targets = pieces.flatMap((piece) => [
      `/${encodeSpaces(piece)}`,
      `/v1/feeds/${encodeSpaces(piece)}/status`,
      `/v1/feeds/shop/${encodeSpaces(piece)}`,
      `/v1/feeds/shop/pages/${encodeSpaces(piece)}/all/1/1`,
      `/v1/feeds/shop/status?seq=${encodeSpaces(piece)}&epoch=${encodeSpaces(piece)}&epoch=x`,
      `/v1/feeds/shop/snapshots/aaaaaaaaaa/all/${encodeSpaces(piece)}/digests`,
      `${relay.url}/v1/feeds/shop/status?${encodeSpaces(piece)}`,
    ]);
    let n = 0;
    const seen = new Set<string | undefined>();
    for (const target of targets)
      for (const role of ['terminal', 'feed'] as const) {
        const method = methods[n % methods.length] ?? 'GET';
        const answer = await send(target, {
          method,
          headers: { ...headers[n % headers.length], ...bearer(relay.token(role)) },
          ...(method === 'POST' || method === 'PUT'
            ? { body: n % 2 ? '{"asks": [[]]}' : Buffer.from([0xff, 0, 0x1f, 0x8b]) }
            : {}),
        });
        n++;
        expect(answer.status, `${method} ${target}`).toBeLessThan(500);
        seen.add(answer.code);
      }
    expect(seen).toContain('request_invalid');
    expect(relay.events.filter(({ code }) => code === 'internal')).toEqual([]);
  });

  const encodeSpaces = (piece: string) => piece.replace(/[^\x21-\x7e]/g, encodeURIComponent);

  test.each([
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['two lengths', `POST ${STATUS} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab`],
    [
      'length and chunks',
      `POST ${STATUS} HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['a control character in a header', `GET ${STATUS} HTTP/1.1\r\nhost: x\r\nx-a: \x01\r\n\r\n`],
    ['headers of 100 kB', `GET ${STATUS} HTTP/1.1\r\nhost: x\r\nx-a: ${'a'.repeat(100_000)}\r\n\r\n`],
    ['HTTP/2 without an upgrade', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('%s is answered with 400', async (_, bytes) => {
    expect(await sendRaw(bytes)).toMatch(/^HTTP\/1\.1 (400|431) .*"code":"request_invalid"/s);
    expect((await send('/healthz')).status).toBe(200);
  });

  test('HTTP/1.0 and an absolute address are served', async () => {
    const key = relay.token('terminal');
    const old = await sendRaw(`GET ${STATUS} HTTP/1.0\r\nauthorization: Bearer ${key}\r\n\r\n`);
    expect(old).toMatch(/^HTTP\/1\.1 200 /);
    expect((await send(relay.url + STATUS, { headers: bearer(key) })).status).toBe(200);
  });

  test('a body that breaks off is not internal', async () => {
    const { hostname, port } = new URL(relay.url);
    const head = `POST /v1/feeds/shop/session HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${relay.token('feed')}\r\ncontent-length: 50\r\n\r\n`;
    const socket = net.connect(Number(port), hostname, () => socket.end(`${head}half`));
    await new Promise((resolve) => socket.resume().on('close', resolve));
    const chunked = `POST /v1/feeds/shop/session HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${relay.token('feed')}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`;
    await sendRaw(chunked);
    await expect.poll(() => relay.events.filter(({ code }) => code === 'request_invalid').length).toBeGreaterThan(0);
    expect(relay.events.filter(({ code }) => code === 'internal')).toEqual([]);
  });

  test('two Authorization headers are refused, even if one is valid', async () => {
    const key = relay.token('terminal');
    for (const pair of [
      [key, 'other'],
      ['other', key],
    ]) {
      const lines = pair.map((each) => `authorization: Bearer ${each}\r\n`).join('');
      expect(await sendRaw(`GET ${STATUS} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${lines}\r\n`)).toMatch(
        /^HTTP\/1\.1 400 .*authorization occurs twice/s,
      );
    }
  });

  test.each(['Bearer \u00e9\u00e9', 'Bearer', 'Basic abc', `Bearer ${'x'.repeat(501)}`, 'Bearer a b', ''])(
    'the header %j is token_invalid',
    async (authorization) => {
      expect((await send(STATUS, { headers: { authorization } })).code).toBe('token_invalid');
    },
  );
});

describe('input beyond its limit', () => {
  const post = (target: string, key: string, body: string | Buffer) =>
    send(target, { method: 'POST', headers: bearer(relay.token(key)), body });
  const MIB = 1024 * 1024;

  test.each([
    ['/v1/feeds/shop/session', 'feed', 64 * 1024],
    ['/v1/feeds/shop/troubles', 'feed', MIB],
    ['/v1/feeds/shop/snapshots/EPOCH/all/1/digests', 'terminal', MIB],
    ['/v1/feeds/shop/snapshots/EPOCH/all/1/rows', 'terminal', MIB],
  ])('B45: %s refuses a body of one byte more than its limit', async (pattern, key, limit) => {
    await relay.base(1);
    const { head } = (await (await relay.get(STATUS)).json()) as { head: { epoch: string } };
    const target = pattern.replace('EPOCH', head.epoch);
    expect((await post(target, key, Buffer.alloc(limit, ' '))).code).not.toBe('body_too_large');
    expect((await post(target, key, Buffer.alloc(limit + 1, ' '))).code).toBe('body_too_large');
  });

  test.each([
    ['session', 1_000, '{"obeys":[', '0,', '0]}'],
    ['troubles', 10_000, '{"tables":[', '{},', '{}]}'],
    ['troubles', 10_000, '{"tables":', '[', ''],
  ])(
    'many-values: a %s body with more than %d values is refused before it is parsed',
    async (route, most, ...parts) => {
      const [begin, each, end] = parts;
      const count = Math.floor((route === 'session' ? 60_000 : MIB - 100) / each.length);
      const answer = await post(`/v1/feeds/shop/${route}`, 'feed', begin + each.repeat(count) + end);
      expect(answer.status).toBe(400);
      expect(answer.body).toContain(`the body has more than ${most} values`);
    },
  );

  test('B47: no refusal repeats more than 2 kB of the caller, wherever the text is', async () => {
    await relay.base(1);
    const long = 'é'.repeat(2_000);
    const address = encodeURIComponent(long);
    const report = JSON.stringify({ fault: { code: long, since: long }, tables: [{ table: long }], more: long });
    const key = bearer(relay.token('terminal'));
    const answers = await Promise.all([
      send(`/v1/feeds/${address}/status`, { headers: key }),
      send(`/v1/feeds/shop/pages/${address}/all/1/1`, { headers: key }),
      send(`/v1/feeds/shop/pages/0/all/${address}/1`, { headers: key }),
      send(`${STATUS}?epoch=${address}&seq=${address}&scopes=x&wait=${'9'.repeat(3_000)}`, { headers: key }),
      send(`${STATUS}?${'wait=a&'.repeat(2_000)}`, { headers: key }),
      send(STATUS, { headers: { ...key, 'tidemark-protocol': 'a'.repeat(9_000) } }),
      post('/v1/feeds/shop/troubles', 'feed', report),
      post('/v1/feeds/shop/session', 'feed', JSON.stringify({ protocol: long, source: { kind: long } })),
      post('/v1/feeds/shop/batches', 'feed', long),
    ]);
    for (const { status, body } of answers) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(Buffer.byteLength(body)).toBeLessThanOrEqual(2_048);
    }
  });
});

describe('the log of refusals', () => {
  test('1,000 refused requests of many clients take a bounded number of lines, and the rest are counted', async () => {
    const before = relay.events.length;
    for (let n = 0; n < 1_000; n++)
      await send(`/v1/feeds/shop/${n}`, { headers: { 'x-forwarded-for': `198.51.100.${n % 250}` } });
    await relay.restart('{}', Date.now());
    const lines = relay.events.slice(before);
    const single = lines.filter(({ event }) => event === 'request-failed');
    const counted = lines.filter(({ event }) => event === 'requests-refused');
    expect(single.length).toBeLessThanOrEqual(61);
    expect(counted.length).toBeLessThanOrEqual(21);
    const unlogged = counted.reduce((sum, line) => sum + Number(line.unlogged), 0);
    expect(single.length + unlogged).toBe(1_000);
    expect(counted).toContainEqual(expect.objectContaining({ client: 'others', code: 'not_found' }));
  });

  test('a line holds no key, no control character and no long text, wherever the caller puts them', async () => {
    const canary = 'tm_CANARYcanaryCANARYcanaryCANARYcanary0123456';
    const other = 'another-secret-form';
    const headers = Object.fromEntries(
      [
        'x-api-key',
        'cookie',
        'x-forwarded-for',
        'forwarded',
        'via',
        'user-agent',
        'referer',
        'tidemark-session',
        'tidemark-protocol',
        'x-request-id',
      ].map((name) => [name, canary]),
    );
    const targets = [
      `/v1/feeds/${canary}/status`,
      `/v1/feeds/shop/status?token=${canary}&access_token=${canary}`,
      `/${canary}`,
      `/v1/feeds/shop/pages/${canary}/all/1/1`,
      `/${other}/x`,
      `/%1b[31m%0aforged%e2%80%ae${'y'.repeat(5_000)}`,
    ];
    for (const target of targets)
      for (const key of [canary, other, relay.token('terminal'), relay.token('feed')])
        for (const body of [undefined, canary, `{"source": "${canary}"}`])
          await send(target, {
            method: body ? 'POST' : 'GET',
            headers: { ...headers, ...bearer(key) },
            ...(body ? { body } : {}),
          });
    await send('/v1/feeds/shop/session', {
      method: 'POST',
      headers: bearer(relay.token('feed')),
      body: `{"${canary}": ${canary}`,
    });
    await relay.restart('{}', Date.now());
    const lines = relay.events.filter(({ event }) => event.startsWith('request')).map((event) => JSON.stringify(event));
    expect(lines.length).toBeGreaterThan(5);
    for (const line of lines) {
      expect(line).not.toMatch(/CANARY/i);
      expect(line).not.toContain(relay.token('terminal'));
      expect(line).not.toMatch(/[^\x20-\x7e…]/);
      expect(line.length).toBeLessThan(1_000);
    }
  });
});

describe('an invalid relay.tokens.json', () => {
  const file = () => path.join(relay.folder, 'relay.tokens.json');
  const readyz = async () =>
    JSON.parse((await send('/readyz')).body) as { ready: boolean; warnings: { name: string; detail: string }[] };

  test.each<[string, (file: string, text: string) => void, RegExp]>([
    [
      'not JSON',
      (at) => writeFileSync(at, '{\n"tokens": [\n}'),
      /relay\.tokens\.json cannot be read: line 3: it is not valid JSON/,
    ],
    ['cut short', (at, text) => writeFileSync(at, text.slice(0, -20)), /line \d+: it is not valid JSON/],
    ['empty', (at) => writeFileSync(at, ''), /line 1: it is not valid JSON/],
    [
      'a wrong field',
      (at, text) => writeFileSync(at, text.replace('"role": "terminal"', '"role": "boss"')),
      /line \d+: tokens\.1\.role: /,
    ],
    ['too large', (at, text) => writeFileSync(at, text + ' '.repeat(17e6)), /larger than 16 MB/],
    [
      'a folder',
      (at) => {
        rmSync(at);
        mkdirSync(at);
      },
      /cannot be read.*EISDIR/,
    ],
  ])('%s: keys stay in use, an unknown key blames the relay, and readyz names the place', async (_, spoil, detail) => {
    const key = relay.token('terminal');
    expect((await send(STATUS, { headers: bearer(key) })).status).toBe(200);
    const text = readFileSync(file(), 'utf8');
    spoil(file(), text);

    expect((await send(STATUS, { headers: bearer(key) })).status).toBe(200);
    const unknown = await send(STATUS, { headers: bearer('a-new-key') });
    expect(unknown.code).toBe('relay_failed');
    expect(unknown.status).toBeGreaterThanOrEqual(500);
    const { ready, warnings } = await readyz();
    expect(ready).toBe(true);
    expect(warnings).toEqual([{ name: 'access keys', detail: expect.stringMatching(detail) }]);
    expect(relay.events.filter(({ event }) => event === 'tokens-unusable')).toEqual([
      expect.objectContaining({ detail: expect.stringMatching(detail) }),
    ]);

    rmSync(file(), { recursive: true });
    writeFileSync(file(), text);
    expect((await send(STATUS, { headers: bearer('a-new-key') })).code).toBe('token_invalid');
    expect((await readyz()).warnings).toEqual([]);
  });
});

test('S14: the lists of codes hold nothing that ends or blames a command of the caller', () => {
  for (const code of [
    'usage',
    'config_invalid',
    'cancelled',
    'internal',
    'db_damaged',
    'db_in_use',
    'settings_invalid',
  ] as const) {
    expect(mayRefuse('terminal', code), code).toBe(false);
    expect(mayRefuse('feed', code), code).toBe(false);
    expect(ERRORS).toHaveProperty(code);
  }
  expect(mayRefuse('terminal', 'disk_full')).toBe(false);
});
