import { Tooltip, UnstyledButton } from '@mantine/core';
import { FORMAT } from '@tidemark/status/format';
import type { StatusCode } from '@tidemark/status/status';
import { useApp } from '../state/context.tsx';
import { StatusIcon } from '../sync/status-icon.tsx';
import classes from './shell.module.css';

/** Statuses whose short text contains the age of the data. */
const WITH_TIME: ReadonlySet<StatusCode> = new Set(['up-to-date', 'offline']);

/** The status bar, visible on every screen: status, age of the data, position, changes waiting. */
export function StatusBar() {
  const status = useApp((state) => state.app?.status ?? null);
  const facts = useApp((state) => state.app?.facts ?? null);
  const now = useApp((state) => state.now);
  const show = useApp((state) => state.show);
  if (!status || !facts) return <footer className={classes.bar} />;
  const { cursor } = facts.replica;
  const { dataAsOf: asOf, waiting } = status;
  return (
    <footer className={classes.bar}>
      <Tooltip label={`${status.headline}. ${status.detail}`} position="top-start">
        <UnstyledButton
          className={classes.barStatus}
          data-severity={status.severity}
          onClick={() => show('sync')}
          data-testid="status-bar"
        >
          <StatusIcon code={status.code} size={15} />
          <span className={`${classes.barText} num`}>{status.short}</span>
        </UnstyledButton>
      </Tooltip>
      {asOf !== null && !WITH_TIME.has(status.code) && (
        <span className={`${classes.barText} num`}>Data as of {FORMAT.moment(asOf, now)}</span>
      )}
      {cursor && <span className={`${classes.barText} num`}>Position {FORMAT.count(cursor.seq)}</span>}
      {cursor && (
        <span className={`${classes.barText} num`} style={{ marginInlineStart: 'auto' }}>
          {waiting.changes === null ? `Waiting: ${waiting.text.toLowerCase()}` : `▼ ${waiting.text} waiting`}
        </span>
      )}
    </footer>
  );
}
