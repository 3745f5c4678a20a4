import { HEADERS } from '@tidemark/protocol/api';
import { Branch } from '@tidemark/testing/branch';
import { run as command } from '@tidemark/testing/processes';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { differencesOf, tables } from './verify-lab.ts';

/** Verify finds and repairs rows that other programs altered in a replica. */

describe('a replica that another program altered', () => {
  let branch: Branch;
  let before: Record<string, unknown[]>;
  beforeAll(async () => {
    branch = await Branch.start();
    await tables(branch);
    before = await branch.synced();
    branch.keep();
  });
  afterAll(() => branch.stop());
  beforeEach(() => branch.restore());

  test.each<[string, string, [string, number, number, number][]]>([
    ['one changed byte', "UPDATE item SET name = 'item 1O' WHERE id = 10", [['item', 0, 0, 1]]],
    [
      'rows missing, extra and different',
      `DELETE FROM item WHERE id IN (1, 150, 300); INSERT INTO item VALUES (-5, 'x'), (999, 'y');
       UPDATE item SET name = NULL WHERE id = 7; DELETE FROM price WHERE item > 290`,
      [
        ['item', 3, 2, 1],
        ['price', 10, 0, 0],
      ],
    ],
    [
      'values of another storage class',
      `UPDATE price SET amount = CAST(amount AS TEXT) || 'x' WHERE item = 3;
       UPDATE price SET photo = CAST('ab' AS TEXT) WHERE item = 4`,
      [['price', 0, 0, 2]],
    ],
    [
      'a key of another storage class',
      'UPDATE price SET shop = CAST(shop AS BLOB) WHERE item = 3',
      [['price', 1, 1, 0]],
    ],
    [
      'changed rows of a table without a key',
      "DELETE FROM note WHERE rowid IN (1, 2); INSERT INTO note VALUES ('note 3', 0), ('mine', NULL)",
      [['note', 2, 2, 0]],
    ],
    [
      'tables without their rows',
      'DELETE FROM item; DELETE FROM note',
      [
        ['item', 300, 0, 0],
        ['note', 300, 0, 0],
      ],
    ],
    ['a dropped table', 'DROP TABLE price', [['price', 300, 0, 0]]],
    [
      'a replaced table',
      "DROP TABLE price; CREATE TABLE price (shop); INSERT INTO price VALUES ('mine')",
      [['price', 300, 1, 0]],
    ],
    ['an added column', 'ALTER TABLE item ADD COLUMN mine TEXT', [['item', 300, 300, 0]]],
    ['a dropped column', 'ALTER TABLE price DROP COLUMN photo', [['price', 300, 300, 0]]],
    [
      'a table re-created with a check',
      `CREATE TABLE other (id INTEGER PRIMARY KEY NOT NULL, name TEXT CHECK (name <> 'mine'));
       INSERT INTO other SELECT * FROM item; DROP TABLE item; ALTER TABLE other RENAME TO item`,
      [['item', 300, 300, 0]],
    ],
    [
      'a trigger that writes other values',
      `CREATE TRIGGER mine AFTER INSERT ON item BEGIN UPDATE item SET name = 'mine' WHERE id = NEW.id; END;
       DELETE FROM item WHERE id = 5`,
      [['item', 1, 0, 0]],
    ],
    [
      'a trigger that rejects changes',
      `UPDATE item SET name = 'x' WHERE id = 5;
       CREATE TRIGGER mine BEFORE INSERT ON item BEGIN SELECT RAISE(ABORT, 'mine'); END`,
      [['item', 0, 0, 1]],
    ],
    [
      'a unique index that the rows violate',
      'UPDATE note SET text = rowid, n = 0; CREATE UNIQUE INDEX mine ON note (text)',
      [['note', 300, 300, 0]],
    ],
    ['wrong row counts', 'UPDATE tidemark_table SET rows = 7', []],
    ['a missing index of the terminal', 'DROP INDEX tidemark_all_3', []],
    [
      'an index of the terminal on another table',
      'DROP INDEX tidemark_all_3; CREATE INDEX tidemark_all_3 ON item (name)',
      [],
    ],
  ])('C5: finds, counts and repairs %s', async (_, sql, differences) => {
    branch.tamper(sql);
    const verified = await branch.run('verify');
    expect(verified).toMatchObject({ outcome: 'done', fault: null, snapshot: null });
    expect(differencesOf(verified)).toEqual(differences);
    expect(branch.dump()).toEqual(before);
    expect(branch.all('SELECT rows FROM tidemark_table')).toEqual([[300], [300], [300]]);
    expect(branch.all("SELECT tbl_name FROM sqlite_schema WHERE name LIKE 'tidemark_all%'")).toEqual([['note']]);
    expect(branch.all('PRAGMA integrity_check')).toEqual([['ok']]);
    const again = await branch.run('verify');
    expect(again).toMatchObject({ outcome: 'done', differences: [], inserted: 0, updated: 0, deleted: 0 });
  });

  test('C5: writes nothing when no row differs, and keeps objects of other programs when it repairs rows', async () => {
    branch.tamper(
      'CREATE INDEX mine ON item (name)',
      'CREATE TABLE my_table (n)',
      'CREATE TRIGGER kept AFTER UPDATE ON item BEGIN SELECT 1; END',
    );
    // The first write of a repair drops this trigger.
    branch.tamper('CREATE TRIGGER watched BEFORE UPDATE ON tidemark_meta BEGIN SELECT 1; END');
    const watched = () => branch.all("SELECT name FROM sqlite_schema WHERE name = 'watched'");
    expect(await branch.run('verify')).toMatchObject({ outcome: 'done', differences: [] });
    expect(watched()).toHaveLength(1);
    branch.tamper("UPDATE item SET name = 'x' WHERE id = 1");
    expect(differencesOf(await branch.run('verify'))).toEqual([['item', 0, 0, 1]]);
    const objects = "SELECT name FROM sqlite_schema WHERE name IN ('mine', 'my_table', 'kept') ORDER BY 1";
    expect(branch.all(objects)).toEqual([['kept'], ['mine'], ['my_table']]);
    expect(watched()).toHaveLength(0);
  });

  test('the command lists the differences by table, repairs them, and exits with a code that reports them', async () => {
    branch.tamper("UPDATE item SET name = 'x' WHERE id < 4", 'DELETE FROM price WHERE item = 9');
    const shown = await command('terminal', [...branch.args('verify'), '--no-repair']);
    expect(shown.stderr).toMatch(
      /^replica_differs: Data on this PC differs from the sync server: 4 rows in item, price\./,
    );
    expect(shown).toMatchObject({ code: 1 });
    expect(shown.stdout).toContain('item: 0 missing, 0 extra, 3 different\nprice: 1 missing, 0 extra, 0 different\n');
    const repaired = await command('terminal', branch.args('verify'));
    expect(repaired).toMatchObject({ code: 0, stderr: '' });
    expect(repaired.stdout).toBe(
      'item: 0 missing, 0 extra, 3 different\nprice: 1 missing, 0 extra, 0 different\nRepaired 4 rows in 2 tables.\nAll 900 rows in 3 tables equal the relay at position 1.\n',
    );
    const equal = await command('terminal', [...branch.args('verify'), '--json', '--no-repair']);
    expect(equal.code).toBe(0);
    expect(JSON.parse(equal.stdout)).toMatchObject({ mode: 'verify', outcome: 'done', differences: [] });
  });

  test('C1: refuses an invalid request and names the field', async () => {
    const { epoch } = branch;
    const ask = async (kind: string, body: unknown, scopes = 'all', seq = 1) => {
      const answer = await fetch(`${branch.relay.url}/v1/feeds/shop/snapshots/${epoch}/${scopes}/${seq}/${kind}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${branch.relay.token('terminal')}`, [HEADERS.protocol]: '1' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      const { code, params } = (await answer.json()) as { code: string; params: { detail?: string } };
      return [code, params.detail];
    };
    const range = { after: null, upto: null };
    const asks = (more: object) => ({ asks: [{ table: 1, range, parts: 1, ...more }] });
    expect(await ask('digests', 'no JSON')).toEqual(['request_invalid', 'the body is not JSON']);
    expect(await ask('digests', asks({ parts: 257 }))).toEqual([
      'request_invalid',
      expect.stringMatching(/^asks\.0\.parts: /),
    ]);
    expect(await ask('digests', { asks: [] })).toEqual(['request_invalid', expect.stringMatching(/^asks: /)]);
    expect(await ask('digests', asks({ table: 99 }))).toEqual([
      'request_invalid',
      expect.stringMatching(/^table: .*99/),
    ]);
    expect(await ask('rows', asks({ range: { after: [1, 2], upto: null } }))).toEqual([
      'request_invalid',
      expect.stringMatching(/^range\.after: a key of item has 1 /),
    ]);
    expect(await ask('rows', asks({ table: 3, range: { after: ['x'], upto: null } }))).toEqual([
      'request_invalid',
      expect.stringMatching(/^range: note has no key/),
    ]);
    expect(await ask('rows', 'x'.repeat(1024 * 1024 + 1))).toEqual(['body_too_large', undefined]);
    expect(await ask('digests', asks({}), 'other')).toEqual(['scope_denied', undefined]);
    expect(await ask('digests', asks({}), 'all', 77)).toEqual(['snapshot_gone', undefined]);
  });
});
