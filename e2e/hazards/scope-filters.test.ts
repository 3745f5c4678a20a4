import { RelayStatus } from '@tidemark/protocol/api';
import type { TidemarkError } from '@tidemark/protocol/errors';
import type { TableSchema } from '@tidemark/protocol/schema';
import { TestRelay } from '@tidemark/testing/test-relay';
import { describe, expect, test } from 'vitest';
import { FEED, STOCK, TERMINALS, useCleanup, world } from './scopes-lab.ts';

/** Invalid filters in relay.yaml. */

useCleanup();

describe('refuses invalid filters at start, with file and line', () => {
  const bad = (feed: string) => TestRelay.start(feed, TERMINALS).then((relay) => relay.stop());
  test.each([
    ['{ tables: { stock: { where: { branch: $brunch } } } }', 'no terminal has the attribute brunch'],
    ['{ tables: { stock: { where: { branch: [1, $branch] } } } }', 'an attribute cannot be in a list'],
    ['{ tables: { stock: { where: { branch: [] } } } }', 'names no value'],
    ['{ tables: { stock: { where: { branch: 9007199254740993 } } } }', 'in quotes'],
    ['{ tables: { stock: { where: { branch: 007 } } } }', '007 would be read as 7; write it in quotes'],
    ['{ tables: { stock: { where: { branch: [1, 1e3] } } } }', '1e3 would be read as 1000; write it in quotes'],
    ['{ tables: { stock: { where: { branch: True } } } }', 'True would be read as true; write it in quotes'],
    ['{ tables: { stock: { where: { branch: } } } }', 'write null for NULL'],
    ['{ tables: { stock: { where: { branch: $my-depot } } } }', 'or $$ for a text that begins with $'],
    ['{ tables: { stock: { where: { branch: $ } } } }', 'or $$ for a text that begins with $'],
    ['{ tables: { stock: { where: { branch: [1, $1] } } } }', 'or $$ for a text that begins with $'],
    [
      '{ tables: { stock: { where: { branch: { is: 1 } } } } }',
      'write a value, a list of values, $attribute, or { equals: … }',
    ],
    ['{ tables: { stock: { columns: [] } } }', 'names no column'],
    ['{ tables: { stock: { columns: [sku, sku] } } }', 'names a column twice'],
    ['{ tables: { stock: { indexes: [sku] } } }', 'stock.indexes.0'],
    ['{ tables: { stock: { were: {} } } }', 'no such field'],
  ])('%s', async (feed, says) => {
    const error = await bad(feed).then(
      () => null,
      (thrown: TidemarkError) => thrown,
    );
    expect(error).toMatchObject({ code: 'config_invalid' });
    expect(error?.message).toContain(says);
    expect(error?.message).toMatch(/line 5: feeds\.shop\.tables\.stock/);
  });

  test.each([
    ['{ tables: { stock: { where: { branche: $branch } } } }', 'the table stock has no column branche'],
    ['{ tables: { stock: { columns: [branch] } } }', 'the key column sku is missing'],
    ['{ tables: { stock: { columns: [sku, no] } } }', 'the table stock has no column no'],
    ['{ tables: { stock: { indexes: [[no]] } } }', 'the table stock has no column no'],
    ['{ tables: { stock: { columns: [sku], indexes: [[branch]] } } }', 'branch is not among the columns'],
  ])('refuses a filter on an unknown column: %s', async (feed, says) => {
    const { relay } = await world(7);
    await expect(relay.restart(feed, Date.now())).rejects.toMatchObject({ code: 'config_invalid' });
    await expect(relay.restart(feed, Date.now())).rejects.toThrow(says);
    await expect(relay.restart(feed, Date.now())).rejects.toThrow('relay.yaml line 5: feeds.shop.tables.stock');
    await relay.restart(FEED, Date.now());
  });

  test('filter on a dropped column: rejects the batch with file and line, and keeps serving existing data', async () => {
    const { relay } = await world(8);
    const without: TableSchema = { ...STOCK, columns: STOCK.columns.filter(({ name }) => name !== 'branch') };
    const told = relay.transaction([
      ['s', 9, without],
      ['L', 9, 2, ['sku', 'amount']],
      ['E', 9],
    ]);
    await expect(told).rejects.toMatchObject({ code: 'filter_invalid' });
    await expect(told).rejects.toThrow('the table stock has no column branch');
    await expect(told).rejects.toThrow('relay.yaml line');
    const status = RelayStatus.parse(await (await relay.get('/v1/feeds/shop/status', relay.token('nine'))).json());
    expect(status.head?.seq).toBe(1);
  });
});
