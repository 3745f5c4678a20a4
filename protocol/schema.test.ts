import { describe, expect, test } from 'vitest';
import type { LogicalType } from './logical-type.ts';
import { sameSchema, type TableSchema } from './schema.ts';

const table = (logical?: LogicalType, more: Partial<TableSchema> = {}): TableSchema => ({
  name: 't',
  columns: [{ name: 'id', type: 'integer', source: 'bigint', ...(logical === undefined ? {} : { logical }) }],
  key: ['id'],
  ...more,
});

describe('sameSchema', () => {
  test('treats an undeclared logical type as equal to any', () => {
    expect(sameSchema(table(), table({ kind: 'integer', bits: 64 }))).toBe(true);
    expect(sameSchema(table({ kind: 'integer', bits: 64 }), table())).toBe(true);
  });

  test('compares declared logical types whatever the order of their fields', () => {
    expect(sameSchema(table({ kind: 'integer', bits: 64 }), table({ bits: 64, kind: 'integer' }))).toBe(true);
    expect(sameSchema(table({ kind: 'integer', bits: 64 }), table({ kind: 'integer', bits: 32 }))).toBe(false);
    expect(sameSchema(table({ kind: 'boolean' }), table({ kind: 'enum' }))).toBe(false);
  });

  test('distinguishes names, columns, storage types, keys and indexes', () => {
    const same = table();
    expect(sameSchema(same, { ...same, name: 'T' })).toBe(false);
    expect(sameSchema(same, { ...same, key: [] })).toBe(false);
    expect(sameSchema(same, { ...same, indexes: [['id']] })).toBe(false);
    expect(sameSchema(same, { ...same, indexes: [] })).toBe(true);
    expect(sameSchema(same, { ...same, columns: [{ name: 'id', type: 'text', source: 'bigint' }] })).toBe(false);
    expect(sameSchema(same, { ...same, columns: [{ name: 'id', type: 'integer', source: 'int' }] })).toBe(false);
    expect(sameSchema(same, { ...same, columns: [...same.columns, ...table().columns] })).toBe(false);
  });
});
