import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import * as api from './api.ts';
import * as cursor from './cursor.ts';
import { ERRORS, Problem } from './errors.ts';
import { BatchLine, PageLine } from './lines.ts';
import * as page from './page.ts';
import { PATHS } from './paths.ts';
import { SourcePosition } from './position.ts';
import * as schema from './schema.ts';
import * as trouble from './trouble.ts';

const { PageHeader, PageTrailer, PROTOCOL_VERSION } = page;

/** Returns every schema that a module exports, by name, so that the pinned hash covers new schemas too. */
const schemasOf = (module: object): [string, z.ZodType][] =>
  Object.entries(module).filter((entry): entry is [string, z.ZodType] => entry[1] instanceof z.ZodType);

/**
 * Returns everything on which feed, relay and terminal must agree: bodies, queries, lines, headers and trailers of
 * pages, paths, HTTP headers, and the code, HTTP status and `retry` of each error. Sentences are not part of the wire.
 * Schemas are taken in their encoded form, in which times are text.
 */
function wire() {
  const schemas = [
    ...[api, cursor, page, schema, trouble].flatMap(schemasOf),
    ...Object.entries({ BatchLine, PageLine, Problem, SourcePosition }),
  ].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    schemas: schemas.map(([name, each]) => [name, z.toJSONSchema(each, { unrepresentable: 'any', io: 'input' })]),
    paths: Object.entries(PATHS).map(([name, { pattern }]) => [name, pattern]),
    headers: api.HEADERS,
    everyone: page.EVERYONE,
    errors: Object.entries(ERRORS).map(([code, { status, retry }]) => [code, status, retry]),
  };
}

const hash = () => createHash('sha256').update(JSON.stringify(wire())).digest('hex');

/**
 * The hash of each version's wire. Update the hash for a new optional field that receivers may ignore, and for a new
 * error code that V4 permits. Any other change requires a new version.
 */
const RELEASED: Record<number, string> = { 1: '6de7e6c1cc6b7825ca2bd8584cdae946a96cd38262b9f2389032bdce7ee4ff2c' };

test('V2: the pinned wire contains every body, query, line and trailer', () => {
  const names = wire().schemas.map(([name]) => name);
  expect(names).toEqual(
    expect.arrayContaining([
      ...['SessionRequest', 'SessionAnswer', 'BatchAnswer', 'BatchLine', 'BatchTrailer', 'SourcePosition'],
      ...['StatusQuery', 'RelayStatus', 'TransactionsQuery', 'TransactionList', 'TablesQuery', 'TableList'],
      ...[
        'PageHeader',
        'PageLine',
        'PageTrailer',
        'SnapshotQuery',
        'SnapshotFileQuery',
        'SnapshotManifest',
        'TableSchema',
      ],
      ...[
        'KeyRange',
        'DigestRequest',
        'DigestAnswer',
        'RowsRequest',
        'RowsTrailer',
        'Problem',
        'Cursor',
        'FeedReport',
        'FeedTroubles',
      ],
    ]),
  );
  expect(new Set(names).size).toBe(names.length);
});

test('V2: the wire of this version has the pinned hash', () => {
  expect(hash()).toBe(RELEASED[PROTOCOL_VERSION]);
});

const SAMPLES = ['page-1.ndjson', 'page-1-logical-types.ndjson'];

test.each(SAMPLES)('V2: every released page still decodes: %s', (sample) => {
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

test('V2: an unknown kind of logical type reads as absent', () => {
  const [, , schema] = PageLine.parse([
    's',
    1,
    { name: 't', columns: [{ ...column, logical: { kind: 'hyperlink', host: 'a' } }], key: ['id'] },
  ]);
  expect(JSON.parse(JSON.stringify(schema))).toEqual({ name: 't', columns: [column], key: ['id'] });
});
