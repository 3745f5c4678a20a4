import { Table, Text } from '@mantine/core';
import type { Run } from '@tidemark/protocol/run';
import { FORMAT } from '@tidemark/status/format';
import classes from './activity.module.css';
import { rowsIn, wasRepaired } from './verify-words.ts';

/** The tables that differed from the relay, and by how much. */
export function Differences({ run }: { run: Run }) {
  const differences = (run.differences ?? []).filter((each) => rowsIn(each) > 0);
  if (differences.length === 0) return null;
  const fate = wasRepaired(run) ? 'Repaired' : 'Found';
  return (
    <div data-testid="differences">
      <Table verticalSpacing={4} className={`${classes.counts} num`} aria-label="Differences from the relay">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Table</Table.Th>
            <Table.Th ta="right">Missing</Table.Th>
            <Table.Th ta="right">Extra</Table.Th>
            <Table.Th ta="right">Different</Table.Th>
            <Table.Th ta="right">{fate}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {differences.map((each) => (
            <Table.Tr key={each.table}>
              <Table.Td className={classes.tableName}>{each.table}</Table.Td>
              <Table.Td ta="right">{FORMAT.count(each.missing)}</Table.Td>
              <Table.Td ta="right">{FORMAT.count(each.extra)}</Table.Td>
              <Table.Td ta="right">{FORMAT.count(each.different)}</Table.Td>
              <Table.Td ta="right">{FORMAT.count(rowsIn(each))}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Text size="xs" c="dimmed" mt={6}>
        Missing: only the relay had it. Extra: only this PC had it. Different: other values.
      </Text>
    </div>
  );
}
