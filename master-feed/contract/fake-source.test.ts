import { type FakeChange, FakeMaster } from '@tidemark/testing/fake-master';
import { FakeSource } from '@tidemark/testing/fake-source';
import type { ContractChange, ContractMaster } from './contract-master.ts';
import { describeSource } from './source-contract.ts';

const fakeChange = (change: ContractChange): FakeChange =>
  change.op === 'insert' || change.op === 'update'
    ? { op: change.op, table: change.table, row: [change.id, change.body] }
    : change;

describeSource('a master in memory', async (): Promise<ContractMaster> => {
  const master = new FakeMaster();
  return {
    newSource: () => new FakeSource(master),
    createTable: async (name, rows) =>
      master.createTable(
        name,
        Array.from({ length: rows }, (_, i) => ({ op: 'insert', table: name, row: [i + 1, `row ${i + 1}`] })),
      ),
    addColumn: async (table, column) => master.addColumn(table, column),
    renameTable: async (from, to) => master.renameTable(from, to),
    commit: async (changes) => master.commit(changes.map(fakeChange)),
    removePrerequisites: async () => {
      master.problems.push('The binary log is off.', 'The table item has no key.');
      return ['binary log', 'no key'];
    },
    stop: async () => undefined,
  };
});
