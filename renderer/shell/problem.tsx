import { Button, Group, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import type { Fault } from '@tidemark/protocol/fault';
import { describeFault } from '../bridge.ts';

/** Replaces content that could not be loaded. Shows the cause, the remedy, and a button to try again. */
export function Problem({ fault, retry }: { fault: Fault; retry?: () => void }) {
  const { means, todo } = describeFault(fault);
  return (
    <Group gap="sm" wrap="nowrap" role="alert" p="xs" align="flex-start">
      <IconAlertTriangle size={18} color="var(--tm-warn)" aria-hidden style={{ flex: 'none', marginTop: 2 }} />
      <Text size="sm" className="selectable">
        {means} {todo}
      </Text>
      {retry && (
        <Button size="compact-sm" variant="default" onClick={retry} ml="auto" flex="none">
          Try again
        </Button>
      )}
    </Group>
  );
}
