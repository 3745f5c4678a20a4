import { writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { readToken } from '@tidemark/testing/test-relay';
import { Helper, inTurn, type Result, seconds } from './lib.ts';
import type { Office } from './office.ts';

/**
 * Returns the requests per second over `connections` connections. Each connection sends its next request after the
 * previous answer.
 */
async function load(url: string, headers: http.OutgoingHttpHeaders, requests: number, connections: number) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  let left = requests;
  let bytes = 0;
  const one = () =>
    new Promise<void>((resolve, reject) => {
      http
        .get(url, { agent, headers }, (answer) => {
          if (answer.statusCode !== 200) reject(new Error(`HTTP ${answer.statusCode}`));
          answer.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
          });
          answer.on('end', resolve);
        })
        .on('error', reject);
    });
  const elapsed = await seconds(() =>
    Promise.all(
      Array.from({ length: connections }, async () => {
        while (left-- > 0) await one();
      }),
    ),
  );
  agent.destroy();
  return { perSecond: requests / elapsed, bytesPerSecond: bytes / elapsed };
}

/** Measures pages and status answers of the relay against plain servers that send the same bytes. */
export async function benchServing(office: Office): Promise<Result[]> {
  const { head } = await office.system.status();
  const authorization = `Bearer ${readToken(office.system.tokenFile('branch-7'))}`;
  const page = `${office.system.url}/v1/feeds/shop/pages/${head?.epoch}/all/1/${head?.seq}`;
  const headers = { authorization, 'accept-encoding': 'identity' };
  const body = Buffer.from(await (await fetch(page, { headers })).arrayBuffer());
  const file = path.join(office.folder, 'page');
  writeFileSync(file, body);
  const plain = await Helper.start<{ port: number }>('plain-http.ts', 'node', file);
  const pages = await inTurn(
    async () => (await load(page, headers, 2000, 4)).bytesPerSecond / 1e6,
    async () => (await load(`http://127.0.0.1:${plain.ready.port}/`, headers, 2000, 4)).bytesPerSecond / 1e6,
  );
  await plain.stop();

  const status = `${office.system.url}/v1/feeds/shop/status?epoch=${head?.epoch}&seq=${head?.seq}`;
  const answer = await (await fetch(status, { headers })).text();
  const fixed = await Helper.start<{ port: number }>('plain-http.ts', 'express', answer);
  const asks = await inTurn(
    async () => (await load(status, headers, 8000, 8)).perSecond,
    async () => (await load(`http://127.0.0.1:${fixed.ready.port}/status`, headers, 8000, 8)).perSecond,
  );
  await fixed.stop();
  const ratio = (rate: { ours: number; limit: number }) => rate.ours / rate.limit;
  return [
    {
      what: `pull of ${(body.length / 1e6).toFixed(1)} MB pages, MB/s`,
      ours: pages.ours.toFixed(0),
      limit: `plain node:http: ${pages.limit.toFixed(0)}`,
      ratio: ratio(pages).toFixed(2),
      reach: '≥ 0.90',
      met: ratio(pages) >= 0.9,
    },
    {
      what: `nothing-new status (${answer.length} bytes), requests/s`,
      ours: asks.ours.toFixed(0),
      limit: `fixed JSON by Express: ${asks.limit.toFixed(0)}`,
      ratio: ratio(asks).toFixed(2),
      reach: '≥ 0.60, ≤ 1 kB',
      met: ratio(asks) >= 0.6 && answer.length <= 1024,
    },
  ];
}
