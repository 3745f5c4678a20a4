import type { Run } from '@tidemark/protocol/run';
import type { TableSchema } from '@tidemark/protocol/schema';
import type { Branch } from '@tidemark/testing/branch';
import { batchOf, ITEM, position } from '@tidemark/testing/test-relay';

/** Tables and helpers for the tests of verifying a replica. */

export const AT = '2026-11-23T08:00:00.000000Z';
const column = (name: string, type: TableSchema['columns'][number]['type']) => ({ name, type, source: type });
const PRICE: TableSchema = {
  name: 'price',
  columns: [column('shop', 'text'), column('item', 'integer'), column('amount', 'numeric'), column('photo', 'blob')],
  key: ['shop', 'item'],
};
const NOTE: TableSchema = { name: 'note', columns: [column('text', 'text'), column('n', 'integer')], key: [] };

/** Sends a base copy of the tables item, price and note, and a heartbeat from the end of the master's log. */
export async function tables({ relay }: Branch, rows = 300): Promise<void> {
  await relay.session();
  const ids = Array.from({ length: rows }, (_, i) => i + 1);
  const photo = (id: number) => (id % 3 === 0 ? null : Buffer.from([id % 256, 0]).toString('base64'));
  await relay.send(
    batchOf([
      ['s', 1, ITEM],
      ['s', 2, PRICE],
      ['s', 3, NOTE],
      ['B', position(1), AT, 'test'],
      ['i', 1, ids.map((id) => [id, `item ${id}`])],
      ['i', 2, ids.map((id) => [`shop ${id % 7}`, id, id / 8, photo(id)])],
      ['i', 3, ids.map((id) => [`note ${id % 40}`, id % 3])],
      ['c', 3 * rows],
    ]),
  );
  await relay.current(0, 1);
}

/** Returns the differences of a run as rows of table, missing, extra, different. */
export const differencesOf = (run: Run) =>
  run.differences?.map(({ table, missing, extra, different }) => [table, missing, extra, different]);
