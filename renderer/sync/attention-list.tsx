import { ActionIcon, Button, Text, Tooltip } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { FORMAT } from '@tidemark/status/format';
import type { Attention } from '@tidemark/status/status';
import { useEffect, useState } from 'react';
import { useNow, useStatus } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import classes from './attention-list.module.css';
import { StatusIcon } from './status-icon.tsx';

/** Lists further problems that need attention. A hidden banner reappears if its problem ends and occurs again. */
export function AttentionList() {
  const { attention } = useStatus();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const codes = attention.map(({ code }) => code).join(' ');
  useEffect(() => {
    const present = new Set(codes.split(' '));
    setHidden((old) => (old.size === 0 ? old : new Set([...old].filter((code) => present.has(code)))));
  }, [codes]);
  const shown = attention.filter(({ code }) => !hidden.has(code));
  if (shown.length === 0) return null;
  return (
    <ul className={classes.list} aria-label="Needs attention">
      {shown.map((each) => (
        <Banner key={each.code} {...each} hide={() => setHidden(new Set([...hidden, each.code]))} />
      ))}
    </ul>
  );
}

function Banner({ code, severity, text, since, action, hide }: Attention & { hide: () => void }) {
  const actions = useActions();
  const now = useNow();
  return (
    <li className={classes.banner} data-severity={severity} data-testid={`attention-${code}`}>
      <StatusIcon code={code} size={18} className={classes.icon} />
      <Text size="sm" className={`${classes.text} num selectable`}>
        {text}
        {since !== null && <span className={classes.since}> · since {FORMAT.moment(since, now)}</span>}
      </Text>
      {action && (
        <Button size="compact-sm" variant="default" onClick={() => actions.run(action)}>
          {action.label}
        </Button>
      )}
      <Tooltip label="Hide until it happens again">
        <ActionIcon size={24} onClick={hide} aria-label="Hide until it happens again">
          <IconX size={15} aria-hidden />
        </ActionIcon>
      </Tooltip>
    </li>
  );
}
