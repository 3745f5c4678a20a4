import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { FORMAT } from '@tidemark/status/format';
import { useApp, useFacts } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';

/** Asks for confirmation before a fresh copy, which may take long and download much data. */
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
          This downloads all data of this PC again: {size}. The present data stays readable until the new copy is
          complete. The new copy then replaces it in one step.
        </Text>
        <Text size="sm" c="dimmed">
          Use this when the data is damaged or this PC was away too long. Otherwise Sync now is enough.
        </Text>
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={close} data-autofocus>
            Keep the present data
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
