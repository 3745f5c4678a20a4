import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { FORMAT } from '@tidemark/status/format';
import { useApp, useFacts } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';

/** Explains a comparison before it starts. A comparison reads every row, which takes time on a large database. */
export function VerifyDialog() {
  const opened = useApp((state) => state.dialog === 'verify');
  const open = useApp((state) => state.open);
  const { phase, replica } = useFacts();
  const actions = useActions();
  const close = () => open(null);
  const size = `${FORMAT.counted(replica.rows, 'row')} in ${FORMAT.counted(replica.tables, 'table')}`;
  const empty = replica.cursor === null;
  return (
    <Modal opened={opened} onClose={close} title="Verify the data of this PC?">
      <Stack gap="md">
        <Text size="sm" className="num">
          {empty
            ? 'There is no data on this PC to compare yet. Run the first sync.'
            : `Compares every table with the server (${size}). Only rows that differ are downloaded, and they replace the ones here.`}
        </Text>
        {!empty && (
          <Text size="sm" c="dimmed">
            Waiting changes are received first. Other programs can keep reading. You can cancel at any time; nothing is
            left half done.
          </Text>
        )}
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={close}>
            {empty ? 'Close' : 'Not now'}
          </Button>
          {!empty && (
            <Button
              data-autofocus
              disabled={phase.kind !== 'idle'}
              onClick={() => {
                close();
                actions.start('verify');
              }}
            >
              Verify data
            </Button>
          )}
        </Group>
      </Stack>
    </Modal>
  );
}
