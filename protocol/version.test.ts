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

/** The wire of each version, as it was released. A change of the wire is a new version, not a new hash. */
const RELEASED: Record<number, string> = { 1: '0bcda65743e02fed2117e5103c0a2263106d692c4f888f3f523774a71528caeb' };

test('V2: the wire of this version is the one that was released under its number', () => {
  expect(hash()).toBe(RELEASED[PROTOCOL_VERSION]);
});

test('V2: a page of version 1 still decodes', () => {
  const lines = readFileSync(path.join(import.meta.dirname, 'samples/page-1.ndjson'), 'utf8')
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
