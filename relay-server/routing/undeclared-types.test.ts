import type { ColumnType } from '@tidemark/protocol/schema';
import { expect, test } from 'vitest';
import { logicalTypeOf } from './undeclared-types.ts';

test.each<[ColumnType, string, object]>([
  ['integer', 'boolean', { kind: 'boolean' }],
  ['integer', 'smallint', { kind: 'integer', bits: 16 }],
  ['integer', 'integer', { kind: 'integer', bits: 32 }],
  ['integer', 'a_domain', { kind: 'integer', bits: 64 }],
  ['numeric', 'numeric(12,2)', { kind: 'decimal', precision: 12, scale: 2 }],
  ['numeric', 'a_domain', { kind: 'decimal', precision: null, scale: null }],
  ['text', 'numeric', { kind: 'decimal', precision: null, scale: null }],
  ['text', 'numeric(4,-2)', { kind: 'decimal', precision: 4, scale: -2 }],
  ['text', 'numeric[]', { kind: 'other' }],
  ['text', 'character(5)', { kind: 'character', length: 5 }],
  ['text', 'bpchar', { kind: 'character', length: null }],
  ['text', 'character varying(5)', { kind: 'other' }],
  ['text', 'uuid', { kind: 'uuid' }],
  ['text', 'date', { kind: 'date' }],
  ['text', 'time(3) without time zone', { kind: 'time' }],
  ['text', 'time with time zone', { kind: 'other' }],
  ['text', 'timestamp without time zone', { kind: 'timestamp' }],
  ['text', 'timestamp(0) with time zone', { kind: 'timestamptz' }],
  ['text', 'a_domain', { kind: 'other' }],
  ['real', 'real', { kind: 'float', bits: 32 }],
  ['blob', 'bytea', { kind: 'binary' }],
])('V3 derives the logical type of a column of storage class %s and type %s', (type, source, logical) => {
  expect(logicalTypeOf({ name: 'c', type, source })).toEqual(logical);
});

test('V3 a declared logical type takes precedence over the type name', () => {
  const logical = { kind: 'text' } as const;
  expect(logicalTypeOf({ name: 'c', type: 'text', logical, source: 'uuid' })).toEqual(logical);
});
