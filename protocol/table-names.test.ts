import { expect, test } from 'vitest';
import { isNamed } from './table-names.ts';

test.each([
  ['audit_log', 'audit_log', true],
  ['audit_log2', 'audit_log', false],
  ['Audit_log', 'audit_log', false],
  ['audit_log', 'audit_*', true],
  ['archive.sale', 'archive.*', true],
  ['archive', 'archive.*', false],
  ['sale_log', '*_log', true],
  ['s.sale_log_2', 's.*_log_*', true],
  ['s.sale_log', 's.*_log_*', false],
  ['aba', 'ab*ba', false],
  ['abba', 'ab*ba', true],
  ['a.c', 'a.c', true],
  ['abc', 'a.c', false],
  ['a'.repeat(120), `${'*a'.repeat(60)}*b`, false],
])('the table %s and the name %s', (table, name, named) => {
  expect(isNamed(table, name)).toBe(named);
});
