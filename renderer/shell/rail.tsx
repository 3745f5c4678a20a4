import { Tooltip, UnstyledButton } from '@mantine/core';
import { IconHistory, IconKeyboard, IconRefresh, IconSettings } from '@tabler/icons-react';
import type { Screen } from '../state/app-store.ts';
import { useApp } from '../state/context.tsx';
import { Mark } from './mark.tsx';
import classes from './shell.module.css';

const ITEMS: { screen: Screen; label: string; Icon: typeof IconRefresh }[] = [
  { screen: 'sync', label: 'Sync', Icon: IconRefresh },
  { screen: 'activity', label: 'Activity', Icon: IconHistory },
  { screen: 'settings', label: 'Settings', Icon: IconSettings },
];

export function Rail() {
  const current = useApp((state) => state.screen);
  const show = useApp((state) => state.show);
  const open = useApp((state) => state.open);
  return (
    <nav className={classes.rail} aria-label="Screens">
      <div className={classes.mark}>
        <Mark size={28} />
      </div>
      {ITEMS.map(({ screen, label, Icon }, index) => (
        <Tooltip key={screen} label={`${label} (Ctrl+${index + 1})`} position="right">
          <UnstyledButton
            className={classes.item}
            aria-current={screen === current ? 'page' : undefined}
            onClick={() => show(screen)}
          >
            <Icon size={22} stroke={1.6} aria-hidden />
            {label}
          </UnstyledButton>
        </Tooltip>
      ))}
      <div className={classes.spacer} />
      <Tooltip label="Keyboard shortcuts (F1)" position="right">
        <UnstyledButton className={classes.item} onClick={() => open('shortcuts')}>
          <IconKeyboard size={22} stroke={1.6} aria-hidden />
          Keys
        </UnstyledButton>
      </Tooltip>
    </nav>
  );
}
