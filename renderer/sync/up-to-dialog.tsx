import { Button, Group, Modal, Radio, Stack, Table, Text, VisuallyHidden } from '@mantine/core';
import type { TransactionList } from '@tidemark/protocol/api';
import type { Seq } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import { FORMAT } from '@tidemark/status/format';
import { useCallback, useEffect, useState } from 'react';
import { faultOf } from '../bridge.ts';
import { Problem } from '../shell/problem.tsx';
import { useApp, useNow, useTidemark } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import classes from './up-to-dialog.module.css';

/**
 * The dialog in which a person chooses the transaction at which a sync ends. It loads waiting transactions page by
 * page.
 */

type Transaction = TransactionList['transactions'][number];

const PAGE = 100;

/** Shows the waiting transactions and starts a sync that ends after the chosen one. */
export function UpToDialog() {
  const opened = useApp((state) => state.dialog === 'up-to');
  const open = useApp((state) => state.open);
  return (
    <Modal opened={opened} onClose={() => open(null)} title="Sync up to…" size={680}>
      <Chooser close={() => open(null)} />
    </Modal>
  );
}

interface Loaded {
  list: Transaction[];
  head: number | null;
  loading: boolean;
  fault: Fault | null;
}

/** Loads the waiting transactions, oldest first, page by page. */
function useWaiting(): Loaded & { more: () => void } {
  const { api } = useTidemark();
  const [loaded, setLoaded] = useState<Loaded>({ list: [], head: null, loading: false, fault: null });
  const load = useCallback(
    (after: Seq | null) => {
      setLoaded((old) => ({ ...old, loading: true, fault: null }));
      api.call('waiting.list', { after, limit: PAGE }).then(
        ({ transactions, head }) =>
          setLoaded((old) => ({
            list: after === null ? transactions : [...old.list, ...transactions],
            head,
            loading: false,
            fault: null,
          })),
        (thrown: unknown) => setLoaded((old) => ({ ...old, loading: false, fault: faultOf(thrown) })),
      );
    },
    [api],
  );
  useEffect(() => load(null), [load]);
  return { ...loaded, more: () => load(loaded.list.at(-1)?.seq ?? null) };
}

function Chooser({ close }: { close: () => void }) {
  const { list, head, loading, fault, more } = useWaiting();
  const [chosen, setChosen] = useState<Seq | null>(null);
  const now = useNow();
  const { start } = useActions();
  const end = list.findIndex(({ seq }) => seq === chosen);
  const taken = list.slice(0, end + 1);
  const changes = taken.reduce((sum, each) => sum + each.changes, 0);
  const last = list.at(-1);

  return (
    <Stack gap="sm">
      <Text size="sm" c="dimmed">
        The sync ends after the transaction that you choose. Newer ones keep waiting.
      </Text>
      {fault && <Problem fault={fault} retry={more} />}
      <section className={classes.scroll} aria-label="Waiting transactions">
        <Table stickyHeader verticalSpacing={4} highlightOnHover className="num">
          <Table.Thead>
            <Table.Tr>
              <Table.Th w={36}>
                <VisuallyHidden>Choice</VisuallyHidden>
              </Table.Th>
              <Table.Th>Transaction</Table.Th>
              <Table.Th>Committed</Table.Th>
              <Table.Th ta="right">Changes</Table.Th>
              <Table.Th>Tables</Table.Th>
              <Table.Th ta="right">Size</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {list.map((each, index) => (
              <Table.Tr key={each.seq} data-taken={index <= end || undefined} onClick={() => setChosen(each.seq)}>
                <Table.Td>
                  <Radio
                    size="xs"
                    name="up-to"
                    checked={each.seq === chosen}
                    onChange={() => setChosen(each.seq)}
                    aria-label={`Up to transaction ${FORMAT.count(each.seq)}`}
                  />
                </Table.Td>
                <Table.Td>{FORMAT.count(each.seq)}</Table.Td>
                <Table.Td>{FORMAT.moment(each.committedAt, now)}</Table.Td>
                <Table.Td ta="right">{FORMAT.count(each.changes)}</Table.Td>
                <Table.Td className={classes.tables}>{each.tables.join(', ')}</Table.Td>
                <Table.Td ta="right">{FORMAT.bytes(each.bytes)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        {!loading && !fault && list.length === 0 && (
          <Text size="sm" c="dimmed" ta="center" py="lg">
            No changes are waiting.
          </Text>
        )}
        {loading && (
          <Text size="sm" c="dimmed" ta="center" py="xs">
            Loading…
          </Text>
        )}
        {!loading && last && head !== null && last.seq < head && (
          <Group justify="center" py="xs">
            <Button variant="subtle" size="compact-sm" onClick={more}>
              Show more ({FORMAT.count(head - last.seq)} left)
            </Button>
          </Group>
        )}
      </section>
      <Group justify="space-between" gap="sm">
        <Text size="sm" className="num" aria-live="polite">
          {taken.length === 0
            ? 'Choose where to stop'
            : `${FORMAT.counted(taken.length, 'transaction')}, ${FORMAT.counted(changes, 'change')}`}
        </Text>
        <Group gap="sm">
          <Button variant="default" onClick={close}>
            Close
          </Button>
          <Button
            disabled={chosen === null}
            onClick={() => {
              if (chosen === null) return;
              close();
              start('up-to', chosen);
            }}
          >
            Sync up to {chosen === null ? 'here' : FORMAT.count(chosen)}
          </Button>
        </Group>
      </Group>
    </Stack>
  );
}
