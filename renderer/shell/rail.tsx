import { Tooltip, UnstyledButton } from '@mantine/core';
import { IconKeyboard } from '@tabler/icons-react';
import { SCREENS } from '@tidemark/electron/contract/screens';
import { keyCaps, SHORTCUTS } from '@tidemark/electron/contract/shortcuts';
import { useApp } from '../state/context.tsx';
import { Mark } from './mark.tsx';
import { SCREEN_VIEWS } from './screen-views.tsx';
import classes from './shell.module.css';

/** The navigation between screens, at the left edge of the window. */
export function Rail() {
  const current = useApp((state) => state.screen);
  const show = useApp((state) => state.show);
  const open = useApp((state) => state.open);
  return (
    <nav className={classes.rail} aria-label="Screens">
      <div className={classes.mark}>
        <Mark size={28} />
      </div>
      {SCREENS.map(({ id, label, accelerator }) => {
        const { Icon } = SCREEN_VIEWS[id];
        return (
          <Tooltip key={id} label={`${label} (${keyCaps(accelerator).join('+')})`} position="right">
            <UnstyledButton
              className={classes.item}
              aria-current={id === current ? 'page' : undefined}
              onClick={() => show(id)}
            >
              <Icon size={22} stroke={1.6} aria-hidden />
              {label}
            </UnstyledButton>
          </Tooltip>
        );
      })}
      <div className={classes.spacer} />
      <Tooltip label={`Keyboard shortcuts (${keyCaps(SHORTCUTS.shortcuts.accelerator).join('+')})`} position="right">
        <UnstyledButton className={classes.item} onClick={() => open('shortcuts')}>
          <IconKeyboard size={22} stroke={1.6} aria-hidden />
          Shortcuts
        </UnstyledButton>
      </Tooltip>
    </nav>
  );
}
