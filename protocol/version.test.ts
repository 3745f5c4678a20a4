import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import * as api from './api.ts';
import { BatchLine, PageLine } from './lines.ts';
import { BatchTrailer, PageHeader, PageTrailer, PROTOCOL_VERSION } from './page.ts';

const WIRE = {
  SessionRequest: api.SessionRequest,
  SessionAnswer: api.SessionAnswer,
  BatchAnswer: api.BatchAnswer,
  RelayStatus: api.RelayStatus,
  TransactionList: api.TransactionList,
  TableList: api.TableList,
  SnapshotManifest: api.SnapshotManifest,
  BatchLine,
  PageLine,
  PageHeader,
  PageTrailer,
  BatchTrailer,
};

const hash = () => {
  const schemas = Object.entries(WIRE).map(([name, schema]) => [
    name,
    z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }),
  ]);
  return createHash('sha256').update(JSON.stringify(schemas)).digest('hex');
};

/** The hash of each version's wire. A new optional field that receivers may ignore updates the hash; any other change is a new version. */
const RELEASED: Record<number, string> = { 1: '4ce3c9acc9e04b4ab41acce4fe031f98601fa05f967eb28d4e61c8261ce4b3e8' };

test('V2: the wire of this version has the pinned hash', () => {
  expect(hash()).toBe(RELEASED[PROTOCOL_VERSION]);
});

const SAMPLES = ['page-1.ndjson', 'page-1-logical-types.ndjson'];

test.each(SAMPLES)('V2: every page that was ever written still decodes: %s', (sample) => {
  const lines = readFileSync(path.join(import.meta.dirname, 'samples', sample), 'utf8')
    .trimEnd()
    .split('\n');
  const [header, ...rest] = lines.map((line) => JSON.parse(line) as unknown);
  const trailer = PageTrailer.parse(rest.pop());
  expect(PageHeader.parse(header).target).toBe(3);
  expect(rest.map((line) => PageLine.parse(line)[0])).toEqual(['s', 'b', 'i', 'u', 'c', 'b', 'd', 't', 'r', 'x', 'c']);
  const body = lines
    .slice(0, -1)
    .map((line) => `${line}\n`)
    .join('');
  expect(createHash('sha256').update(body).digest('hex')).toBe(trailer.sha256);
});

const column = { name: 'id', type: 'integer', source: 'bigint' };

test('V2: a receiver drops fields that it does not know', () => {
  const [, , schema] = PageLine.parse([
    's',
    1,
    { name: 't', columns: [{ ...column, unknown: 1 }], key: ['id'], more: {} },
  ]);
  expect(schema).toEqual({ name: 't', columns: [column], key: ['id'] });
});

test('V2: a logical type of a kind that the receiver does not know reads as absent', () => {
  const [, , schema] = PageLine.parse([
    's',
    1,
    { name: 't', columns: [{ ...column, logical: { kind: 'hyperlink', host: 'a' } }], key: ['id'] },
  ]);
  expect(JSON.parse(JSON.stringify(schema))).toEqual({ name: 't', columns: [column], key: ['id'] });
});
