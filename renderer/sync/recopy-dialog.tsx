import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { FORMAT } from '@tidemark/status/format';
import { useApp, useFacts } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';

/** A fresh copy costs time and bytes, so it is asked for twice. */
export function RecopyDialog() {
  const opened = useApp((state) => state.dialog === 'recopy');
  const open = useApp((state) => state.open);
  const { probe, replica } = useFacts();
  const actions = useActions();
  const plan = probe?.status.plan;
  const size =
    plan?.by === 'snapshot'
      ? `${FORMAT.counted(plan.tables, 'table')}, about ${FORMAT.bytes(plan.bytes)}`
      : replica.cursor
        ? `${FORMAT.counted(replica.tables, 'table')}, ${FORMAT.counted(replica.rows, 'row')}`
        : 'all tables';
  const close = () => open(null);
  return (
    <Modal opened={opened} onClose={close} title="Download a fresh copy?">
      <Stack gap="md">
        <Text size="sm">
          All data of this PC is downloaded again: {size}. The data here stays readable until the new copy is complete,
          and then takes its place at once.
        </Text>
        <Text size="sm" c="dimmed">
          Use this when the data is damaged, or when this PC was away too long. For everything else, Sync now is enough.
        </Text>
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={close} data-autofocus>
            Keep what is here
          </Button>
          <Button
            onClick={() => {
              close();
              actions.start('recopy');
            }}
          >
            Download fresh copy
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
