import { isAfter, SourcePosition } from '@tidemark/protocol/position';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type {
  Flow,
  LogEnd,
  LogReader,
  NumberedTable,
  Source,
  SourceTable,
  TableCopy,
  WantedTables,
} from '../source.ts';
import type { ContractChange, ContractMaster } from './contract-master.ts';
import { Recorder } from './recorder.ts';

/**
 * The suite that every source must pass. It runs against a real master through {@link ContractMaster}, which hides the
 * differences between products: how to change rows and tables, and which prerequisites can be removed.
 *
 * Only tests import this module.
 */

const ALL: WantedTables = { listed: null, held: new Set() };
/** Time limit of a test. Each step takes milliseconds, but a busy machine may need much longer. */
const LIMIT_MS = 120_000;

export function describeSource(name: string, begin: () => Promise<ContractMaster>): void {
  describe(`the source contract: ${name}`, { timeout: LIMIT_MS }, () => {
    let master: ContractMaster;
    let opened: Source[];
    beforeEach(async () => {
      opened = [];
      master = await begin();
    }, LIMIT_MS);
    afterEach(async () => {
      for (const source of opened) await source.close();
      await master?.stop();
    }, LIMIT_MS);

    /** Opens a source and prepares it in the same way as a session. */
    async function open(): Promise<{ source: Source; tables: SourceTable[] }> {
      const source = master.newSource();
      opened.push(source);
      await source.open();
      await source.catalogMark();
      const { tables } = await source.describe(ALL);
      await source.publish(tables);
      return { source, tables };
    }

    async function reopen(old: Source): Promise<{ source: Source; tables: SourceTable[] }> {
      await old.close();
      return open();
    }

    const numbered = (tables: readonly SourceTable[]): NumberedTable[] =>
      tables.map((table, i) => ({ number: i + 1, table }));

    const NO_LIMIT: Flow = { full: false, room: async () => undefined };

    async function rowsOf(copy: TableCopy, table: SourceTable): Promise<string[]> {
      const found: string[] = [];
      const count = await copy.readRows(table, NO_LIMIT, (json) => found.push(json));
      expect(found.length).toBe(count);
      return found;
    }

    /** Takes a base copy of empty or filled tables and returns its position. */
    async function base(source: Source): Promise<{ position: string; tables: SourceTable[] }> {
      await source.obstacle({ position: null, head: 0 as never });
      const copy = await source.copyTables('base');
      const { tables } = await copy.describe(ALL);
      for (const table of tables) await rowsOf(copy, table);
      await copy.close();
      return { position: copy.position, tables };
    }

    /** Reads the log up to its current end. */
    async function readToEnd(source: Source, from: string, tables: readonly SourceTable[]) {
      const sink = new Recorder();
      const reader = await source.openLog(from, numbered(tables), new Set(), sink);
      await untilCurrent(source, reader, sink);
      return { sink, reader };
    }

    async function untilCurrent(source: Source, reader: LogReader, sink: Recorder): Promise<void> {
      const end: LogEnd = await source.logEnd();
      const isCurrent = () =>
        sink.heartbeats.some(({ position, current }) => current && !isAfter(end.position, position));
      while (!isCurrent()) {
        const before = sink.heartbeats.length;
        reader.ask(end);
        await sink.until(reader, () => sink.heartbeats.length > before);
      }
    }

    const insert = (id: number, table = 'item'): ContractChange => ({ op: 'insert', table, id, body: `row ${id}` });
    const bodies = ({ transactions }: Recorder) => transactions.map(({ changes }) => changes);

    test('describes tables with keys and logical types', async () => {
      await master.createTable('item', 0);
      const { tables } = await open();
      expect(tables.map(({ schema }) => schema)).toEqual([
        {
          name: 'item',
          key: ['id'],
          columns: [
            { name: 'id', type: 'integer', logical: { kind: 'integer', bits: 32 }, source: expect.any(String) },
            { name: 'body', type: 'text', logical: { kind: 'text' }, source: expect.any(String) },
          ],
        },
      ]);
    });

    test('identifies tables and columns by ids that a rename and a new column do not change', async () => {
      await master.createTable('item', 0);
      const { source, tables } = await open();
      const mark = await source.catalogMark();
      expect(await source.catalogMark()).toBe(mark);
      await master.renameTable('item', 'article');
      await master.addColumn('article', 'extra');
      expect(await source.catalogMark()).not.toBe(mark);
      const after = (await source.describe(ALL)).tables;
      expect(after.map(({ id, schema }) => [id, schema.name])).toEqual([[tables[0]?.id, 'article']]);
      expect(after[0]?.columnIds.slice(0, 2)).toEqual(tables[0]?.columnIds);
      expect(new Set(after[0]?.columnIds).size).toBe(3);
    });

    test('describes only the listed tables, and names a listed table that does not exist', async () => {
      await master.createTable('item', 0);
      await master.createTable('other', 0);
      const { source } = await open();
      const listed = (name: string): WantedTables => ({ listed: [{ name, at: 'relay.yaml line 3' }], held: new Set() });
      expect((await source.describe(listed('other'))).tables.map(({ schema }) => schema.name)).toEqual(['other']);
      await expect(source.describe(listed('missing'))).rejects.toMatchObject({
        code: 'source_not_ready',
        params: { detail: expect.stringMatching(/relay\.yaml line 3.*missing/) },
      });
    });

    test('reports all missing prerequisites at once', async () => {
      await master.createTable('item', 0);
      const words = await master.removePrerequisites();
      expect(words.length).toBeGreaterThan(1);
      const source = master.newSource();
      opened.push(source);
      await source.open();
      const error = await source.describe(ALL).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'source_not_ready' });
      for (const word of words) expect((error as { params: { detail: string } }).params.detail).toContain(word);
    });

    test('the log continues a base copy without a gap or a repeat', async () => {
      await master.createTable('item', 3);
      const { source } = await open();
      expect(await source.obstacle({ position: null, head: 0 as never })).toMatchObject({ setBack: false });
      const copy = await source.copyTables('base');
      await master.commit([insert(4), { op: 'update', table: 'item', id: 1, body: 'changed' }]);
      const { tables } = await copy.describe(ALL);
      const [item] = tables;
      if (!item) throw new Error('no table');
      const copied = await rowsOf(copy, item);
      expect(copied.sort()).toEqual(['[1,"row 1"]', '[2,"row 2"]', '[3,"row 3"]']);
      await master.commit([{ op: 'delete', table: 'item', id: 2 }]);
      expect(await copy.alteredSince(tables)).toEqual([]);
      await copy.close();
      SourcePosition.parse(copy.position);
      const { sink, reader } = await readToEnd(source, copy.position, tables);
      reader.stop();
      expect(bodies(sink)).toEqual([['insert item [4,"row 4"]', 'update item [1,"changed"]'], ['delete item [2]']]);
    });

    test('streams complete transactions in commit order, with increasing positions', async () => {
      await master.createTable('item', 1);
      await master.createTable('other', 0);
      const { source } = await open();
      const { position, tables } = await base(source);
      await master.commit([insert(2), insert(1, 'other')]);
      await master.commit([{ op: 'truncate', table: 'item' }, insert(3)]);
      await master.commit([{ op: 'delete', table: 'other', id: 1 }]);
      const { sink, reader } = await readToEnd(source, position, tables);
      reader.stop();
      expect(bodies(sink)).toEqual([
        ['insert item [2,"row 2"]', 'insert other [1,"row 1"]'],
        ['truncate item', 'insert item [3,"row 3"]'],
        ['delete other [1]'],
      ]);
      const positions = [position, ...sink.transactions.map((transaction) => transaction.position)];
      for (const [i, next] of positions.slice(1).entries())
        expect(isAfter(SourcePosition.parse(next), positions[i] ?? '')).toBe(true);
    });

    test('an update that changes the key is a delete and an insert', async () => {
      await master.createTable('item', 1);
      const { source } = await open();
      const { position, tables } = await base(source);
      await master.commit([{ op: 'rekey', table: 'item', id: 1, to: 9 }]);
      const { sink, reader } = await readToEnd(source, position, tables);
      reader.stop();
      expect(bodies(sink)).toEqual([['delete item [1]', 'insert item [9,"row 1"]']]);
    });

    test('resumes after any transaction, even after one that was read but never confirmed', async () => {
      await master.createTable('item', 0);
      const first = await open();
      const { position, tables } = await base(first.source);
      for (const id of [1, 2, 3]) await master.commit([insert(id)]);
      const read = await readToEnd(first.source, position, tables);
      read.reader.stop();
      const at = read.sink.transactions[0]?.position ?? '';
      const second = await reopen(first.source);
      expect(await second.source.obstacle({ position: at, head: 1 as never })).toBeNull();
      const again = await readToEnd(second.source, at, second.tables);
      again.reader.stop();
      expect(bodies(again.sink)).toEqual([['insert item [2,"row 2"]'], ['insert item [3,"row 3"]']]);
      expect(again.sink.transactions.map((transaction) => transaction.position)).toEqual(
        read.sink.transactions.slice(1).map((transaction) => transaction.position),
      );
    });

    test('resumes from a confirmed position, and reports a relay that is behind it as set back', async () => {
      await master.createTable('item', 0);
      const first = await open();
      const { position, tables } = await base(first.source);
      for (const id of [1, 2]) await master.commit([insert(id)]);
      const { sink, reader } = await readToEnd(first.source, position, tables);
      const confirmed = sink.transactions[1]?.position ?? '';
      reader.confirm(confirmed);
      // The master handles messages in order, so its answer to a later request proves that it has received the
      // confirmation.
      await untilCurrent(first.source, reader, sink);
      reader.stop();
      const second = await reopen(first.source);
      expect(await second.source.obstacle({ position: confirmed, head: 2 as never })).toBeNull();
      expect(await second.source.obstacle({ position, head: 1 as never })).toMatchObject({ setBack: true });
    });

    test('reports a log that the master no longer keeps as an obstacle', async () => {
      await master.createTable('item', 0);
      const { source } = await open();
      const { position } = await source.logEnd();
      expect(await source.obstacle({ position, head: 1 as never })).toEqual({
        why: expect.any(String),
        setBack: false,
      });
    });

    test('a heartbeat contains a position to resume from, and is current at the end of the log', async () => {
      await master.createTable('item', 0);
      const first = await open();
      const { position, tables } = await base(first.source);
      await master.commit([insert(1)]);
      const { sink, reader } = await readToEnd(first.source, position, tables);
      reader.stop();
      const last = sink.heartbeats.at(-1)?.position ?? '';
      expect(isAfter(sink.transactions[0]?.position ?? '', last)).toBe(false);
      const second = await reopen(first.source);
      await master.commit([insert(2)]);
      const again = await readToEnd(second.source, last, second.tables);
      again.reader.stop();
      expect(bodies(again.sink)).toEqual([['insert item [2,"row 2"]']]);
    });

    test('does not call the sink after the stream is stopped', async () => {
      await master.createTable('item', 0);
      const { source } = await open();
      const { position, tables } = await base(source);
      const stopped = await readToEnd(source, position, tables);
      stopped.reader.stop();
      const heartbeats = stopped.sink.heartbeats.length;
      await master.commit([insert(1)]);
      const next = await reopen(source);
      const { sink, reader } = await readToEnd(next.source, position, next.tables);
      reader.stop();
      expect(bodies(sink)).toHaveLength(1);
      expect(stopped.sink.transactions).toEqual([]);
      expect(stopped.sink.heartbeats).toHaveLength(heartbeats);
    });

    test('reports an altered table, stops sending its changes, and continues with the others', async () => {
      await master.createTable('item', 1);
      await master.createTable('other', 0);
      const { source } = await open();
      const { position, tables } = await base(source);
      const item = tables.find(({ schema }) => schema.name === 'item');
      await master.commit([insert(1, 'other')]);
      await master.addColumn('item', 'extra');
      await master.commit([insert(2), insert(2, 'other')]);
      const { sink, reader } = await readToEnd(source, position, tables);
      reader.stop();
      expect(sink.alteredIds).toContain(item?.id);
      expect(bodies(sink)).toEqual([['insert other [1,"row 1"]'], ['insert other [2,"row 2"]']]);
    });

    test('copies altered tables at one position, and streams the other tables up to it', async () => {
      await master.createTable('item', 1);
      await master.createTable('other', 0);
      const first = await open();
      const { position, tables } = await base(first.source);
      await master.addColumn('item', 'extra');
      await master.commit([insert(1, 'other')]);
      const { source } = await reopen(first.source);
      expect(await source.obstacle({ position, head: 1 as never })).toBeNull();
      const copy = await source.copyTables('re-read');
      await master.commit([insert(2, 'other')]);
      const described = (await copy.describe(ALL)).tables;
      const item = described.find(({ schema }) => schema.name === 'item');
      if (!item) throw new Error('no table');
      expect(item.schema.columns.map((column) => column.name)).toEqual(['id', 'body', 'extra']);
      expect(await rowsOf(copy, item)).toEqual(['[1,"row 1","new"]']);
      const others = tables.filter(({ schema }) => schema.name === 'other');
      const { sink, reader } = await readToEnd(source, position, others);
      reader.stop();
      await copy.close();
      const upToCopy = sink.transactions.filter((transaction) => !isAfter(transaction.position, copy.position));
      expect(upToCopy.map(({ changes }) => changes)).toEqual([['insert other [1,"row 1"]']]);
    });

    test('detects a table that is altered during its copy', async () => {
      await master.createTable('item', 1);
      await master.createTable('other', 1);
      const { source } = await open();
      await source.obstacle({ position: null, head: 0 as never });
      const copy = await source.copyTables('base');
      const { tables } = await copy.describe(ALL);
      await master.addColumn('item', 'extra');
      expect((await copy.alteredSince(tables)).map(({ schema }) => schema.name)).toEqual(['item']);
      await copy.close();
    });

    test('returns the remembered tables, and detects tables that differ from them', async () => {
      await master.createTable('item', 1);
      const first = await open();
      expect(await first.source.recall()).toBeNull();
      // Publishing may change a table's version, so describe the tables to remember only afterwards.
      const { tables } = await first.source.describe(ALL);
      const known = tables.map(({ id, columnIds, version, schema }) => ({
        id,
        name: schema.name,
        columnIds,
        version: { ...version },
      }));
      expect(await first.source.remember(known)).toBe(true);
      const second = await reopen(first.source);
      expect(await second.source.recall()).toEqual(known);
      const isUnchanged = (tables: readonly SourceTable[]) =>
        tables.map((table, i) => second.source.isUnchanged(table, known[i] ?? (known[0] as (typeof known)[number])));
      expect(isUnchanged(second.tables)).toEqual([true]);
      await master.commit([insert(5)]);
      expect(isUnchanged((await second.source.describe(ALL)).tables)).toEqual([true]);
      await master.addColumn('item', 'extra');
      expect(isUnchanged((await second.source.describe(ALL)).tables)).toEqual([false]);
    });

    test('publishes a new table and returns its id, because the log does not contain its earlier changes', async () => {
      await master.createTable('item', 0);
      const { source, tables } = await open();
      expect(await source.isPublished(tables)).toBe(true);
      await master.createTable('other', 0);
      const both = (await source.describe(ALL)).tables;
      expect(await source.isPublished(both)).toBe(false);
      expect(await source.publish(both)).toEqual([both.find(({ schema }) => schema.name === 'other')?.id]);
      expect(await source.isPublished(both)).toBe(true);
      expect(await source.publish(both)).toEqual([]);
    });

    test('returns the same identity of the master in every session', async () => {
      await master.createTable('item', 0);
      const [a, b] = [master.newSource(), master.newSource()];
      opened.push(a, b);
      expect(await a.open()).toEqual(await b.open());
    });
  });
}
