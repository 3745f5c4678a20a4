import { Button, Menu, Text } from '@mantine/core';
import {
  IconArrowBarToDown,
  IconChevronDown,
  IconCloudDownload,
  IconFlag,
  IconPlayerSkipForward,
  IconSearch,
  IconShieldCheck,
} from '@tabler/icons-react';
import { keyCaps, SHORTCUTS } from '@tidemark/electron/contract/shortcuts';
import { FORMAT } from '@tidemark/status/format';
import { bytesToDownload } from '@tidemark/status/next-sync';
import { useApp, useFacts } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import classes from './status-card.module.css';

/** The menu with the other ways to sync. Items that are currently unavailable are disabled. */
export function MoreMenu({ attached }: { attached: boolean }) {
  const facts = useFacts();
  const { phase, replica, waiting } = facts;
  const bytes = bytesToDownload(facts);
  const actions = useActions();
  const open = useApp((state) => state.open);
  const idle = phase.kind === 'idle';
  const canSyncPart = idle && replica.cursor !== null && (waiting === null || waiting.transactions > 0);
  const keys = (name: keyof typeof SHORTCUTS) => (
    <Text span size="xs">
      {keyCaps(SHORTCUTS[name].accelerator).join('+')}
    </Text>
  );
  return (
    <Menu position="bottom-end" width={300}>
      <Menu.Target>
        <Button
          variant={attached ? 'filled' : 'default'}
          className={`${classes.more} ${attached ? classes.moreAttached : ''}`}
          aria-label="More ways to sync"
          data-testid="more"
        >
          <IconChevronDown size={16} aria-hidden />
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item
          leftSection={<IconArrowBarToDown size={16} />}
          rightSection={keys('sync')}
          disabled={!idle}
          onClick={() => actions.start('now')}
        >
          Sync now
          {bytes !== null && (
            <Text size="xs" className="num">
              About {FORMAT.bytes(bytes)} to download
            </Text>
          )}
        </Menu.Item>
        <Menu.Item
          leftSection={<IconSearch size={16} />}
          rightSection={keys('check')}
          disabled={!idle}
          onClick={() => actions.start('check')}
        >
          Check for changes only
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item leftSection={<IconFlag size={16} />} disabled={!canSyncPart} onClick={() => open('up-to')}>
          Sync up to…
        </Menu.Item>
        <Menu.Item
          leftSection={<IconPlayerSkipForward size={16} />}
          disabled={!canSyncPart}
          onClick={() => actions.start('one')}
        >
          Sync one transaction
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item
          leftSection={<IconShieldCheck size={16} />}
          rightSection={keys('verify')}
          disabled={!idle || replica.cursor === null}
          onClick={() => open('verify')}
        >
          Verify data…
        </Menu.Item>
        <Menu.Item leftSection={<IconCloudDownload size={16} />} disabled={!idle} onClick={() => open('recopy')}>
          Download fresh copy…
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
