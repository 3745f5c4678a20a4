import { Table, Text } from '@mantine/core';
import type { Run } from '@tidemark/protocol/run';
import { FORMAT } from '@tidemark/status/format';
import classes from './activity.module.css';
import { rowCount, wasRepaired } from './verify-text.ts';

/** Lists the tables in which a comparison found differences, with the number of rows. */
export function Differences({ run }: { run: Run }) {
  const differences = (run.differences ?? []).filter((each) => rowCount(each) > 0);
  if (differences.length === 0) return null;
  const total = wasRepaired(run) ? 'Repaired' : 'Found';
  return (
    <div data-testid="differences">
      <Table verticalSpacing={4} className={`${classes.counts} num`} aria-label="Differences from the server">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Table</Table.Th>
            <Table.Th ta="right">Missing</Table.Th>
            <Table.Th ta="right">Extra</Table.Th>
            <Table.Th ta="right">Different</Table.Th>
            <Table.Th ta="right">{total}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {differences.map((each) => (
            <Table.Tr key={each.table}>
              <Table.Td className={classes.tableName}>{each.table}</Table.Td>
              <Table.Td ta="right">{FORMAT.count(each.missing)}</Table.Td>
              <Table.Td ta="right">{FORMAT.count(each.extra)}</Table.Td>
              <Table.Td ta="right">{FORMAT.count(each.different)}</Table.Td>
              <Table.Td ta="right">{FORMAT.count(rowCount(each))}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Text size="xs" c="dimmed" mt={6}>
        Missing: rows only the server had. Extra: rows only this PC had. Different: rows with other values.
      </Text>
    </div>
  );
}
