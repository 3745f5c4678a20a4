import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RelayLink } from '@tidemark/master-feed/relay-link';
import type { BatchAnswer } from '@tidemark/protocol/api';
import type { TableSchema } from '@tidemark/protocol/schema';
import { type Running, start, until } from '@tidemark/testing/processes';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { batchOf, position } from '@tidemark/testing/test-relay';

/**
 * A relay process for the fleet benchmarks, with many keys and a feed that the benchmark drives. The table `item` goes
 * to every terminal; `stock` goes to the branch of each terminal.
 */

const ITEM: TableSchema = {
  name: 'item',
  columns: [
    { name: 'id', type: 'integer', source: 'bigint' },
    { name: 'note', type: 'text', source: 'text' },
  ],
  key: ['id'],
};
const STOCK: TableSchema = {
  name: 'stock',
  columns: [
    { name: 'id', type: 'integer', source: 'bigint' },
    { name: 'branch', type: 'integer', source: 'integer' },
    { name: 'note', type: 'text', source: 'text' },
  ],
  key: ['id'],
};
const AT = '2026-11-23T08:00:00.000000Z';

/** The key of terminal `n`. */
export const keyOf = (n: number): string => `tm_bench_${String(n).padStart(34, '0')}`;
const FEED_KEY = 'tm_bench_feed_0000000000000000000000000000000';
const ADMIN_KEY = 'tm_bench_admin_000000000000000000000000000000';

/** Returns text that hardly compresses, different for each `n`. */
export function noise(n: number, length: number): string {
  let text = '';
  for (let part = 0; text.length < length; part++) text += createHash('sha256').update(`${n} ${part}`).digest('base64');
  return text.slice(0, length);
}

export class FleetRelay {
  readonly url: string;
  readonly epoch: string;
  readonly pid: number;
  readonly #folder: string;
  readonly #process: Running;
  #send: (batch: Buffer) => Promise<BatchAnswer>;
  #at = 1;
  head = 0;

  private constructor(url: string, folder: string, process: Running, epoch: string, send: FleetRelay['send']) {
    this.url = url;
    this.#folder = folder;
    this.#process = process;
    this.pid = process.child.pid ?? 0;
    this.epoch = epoch;
    this.#send = send;
  }

  /** Starts a relay with `keys` terminals in `branches` branches, and sends it an empty base copy. */
  static async start(keys: number, branches: number): Promise<FleetRelay> {
    const folder = temporaryFolder('fleet');
    const config = path.join(folder, 'relay.yaml');
    writeFileSync(
      config,
      'listen: 127.0.0.1:0\ndata: ./data\nfeeds:\n  shop:\n    tables: { item: {}, stock: { where: { branch: $branch } } }\n',
    );
    const stored = (name: string, role: string, key: string, attributes: Record<string, string>) => ({
      ...{ name, feed: 'shop', role, attributes, createdAt: '2026-11-23T08:00:00.000Z' },
      sha256: createHash('sha256').update(key).digest('hex'),
    });
    const tokens = Array.from({ length: keys }, (_, n) =>
      stored(`pc-${n}`, 'terminal', keyOf(n), { branch: String((n % branches) + 1) }),
    );
    writeFileSync(
      path.join(folder, 'relay.tokens.json'),
      JSON.stringify({
        tokens: [stored('feed', 'feed', FEED_KEY, {}), stored('admin', 'admin', ADMIN_KEY, {}), ...tokens],
      }),
    );
    const process = start('relay', ['serve', '--config', config]);
    await until(
      async () => process.stdout.includes('"listening"'),
      () => `the relay does not start: ${process.stderr}`,
    );
    const url = /"url":"([^"]+)"/.exec(process.stdout)?.[1] ?? '';
    const link = new RelayLink(url, 'shop', FEED_KEY);
    const session = await link.session({ protocol: 1, source: { kind: 'postgres', id: 'bench' }, version: 'bench' });
    const send = link.sender(session.session);
    const relay = new FleetRelay(url, folder, process, session.epoch, (batch) => send(batch));
    await relay.send(
      batchOf([
        ['s', 1, ITEM],
        ['s', 2, STOCK],
        ['B', position(relay.#at++), AT, 'bench'],
        ['c', 0],
      ]),
    );
    return relay;
  }

  async send(batch: Buffer): Promise<BatchAnswer> {
    const answer = await this.#send(batch);
    this.head = answer.head;
    return answer;
  }

  /** Commits `rows` of `table` in one transaction for each element. */
  async commit(kind: 'i' | 'u', table: 1 | 2, transactions: (string | number)[][][]): Promise<void> {
    const schema = table === 1 ? ITEM : STOCK;
    const lines = transactions.flatMap((rows) => [
      ['b', position(this.#at++), AT],
      [kind, table, rows],
      ['c', rows.length],
    ]);
    await this.send(batchOf([['s', table, schema], ...lines]));
  }

  /** Resolves when the relay's queues are empty. */
  async idle(): Promise<void> {
    await until(
      async () => {
        const answer = await fetch(`${this.url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_KEY}` } });
        return ![...(await answer.text()).matchAll(/^relay_queue_(?:waiting|running)\{.*\} (\d+)$/gm)].some(
          ([, jobs]) => jobs !== '0',
        );
      },
      () => 'the queues of the relay do not become empty',
    );
  }

  async stop(): Promise<void> {
    await this.#process.stop('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
