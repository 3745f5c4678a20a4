import { Button, Menu } from '@mantine/core';
import { IconChevronDown, IconPlayerPause } from '@tabler/icons-react';
import { useActions } from '../state/use-actions.ts';

const HOUR_MS = 3_600_000;

/** Returns the next midnight in local time. */
function tomorrow(now: Date): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1);
}

/** The menu that pauses automatic sync for a chosen time. */
export function PauseMenu() {
  const { pause } = useActions();
  return (
    <Menu position="bottom-end" width={200}>
      <Menu.Target>
        <Button
          variant="default"
          leftSection={<IconPlayerPause size={15} aria-hidden />}
          rightSection={<IconChevronDown size={14} aria-hidden />}
          data-testid="pause"
        >
          Pause
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Pause automatic sync</Menu.Label>
        <Menu.Item onClick={() => pause(Date.now() + HOUR_MS)}>For 1 hour</Menu.Item>
        <Menu.Item onClick={() => pause(tomorrow(new Date()).getTime())}>Until tomorrow</Menu.Item>
        <Menu.Item onClick={() => pause(null)}>Until I resume</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
