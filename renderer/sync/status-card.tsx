import { Button, Text, Title, Tooltip } from '@mantine/core';
import { FORMAT } from '@tidemark/status/format';
import type { Action } from '@tidemark/status/status';
import { useFacts, useNow, useStatus } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import { MoreMenu } from './more-menu.tsx';
import { PauseMenu } from './pause-menu.tsx';
import { ProgressPanel } from './progress-panel.tsx';
import classes from './status-card.module.css';
import { StatusIcon } from './status-icon.tsx';
import { VerifyResult } from './verify-result.tsx';

/** The status card. The status determines its text, severity and buttons; this module only arranges them. */

const MOVING = new Set(['checking', 'first-sync', 'syncing', 'comparing', 'repairing', 'agent-restarting']);

/** Shows the status of this PC, with a button for the next step. */
export function StatusCard() {
  const status = useStatus();
  return (
    <section
      className={`card ${classes.card}`}
      data-severity={status.severity}
      data-testid="status-card"
      data-code={status.code}
      aria-labelledby="status-headline"
    >
      <div className={classes.row}>
        <div className={classes.icon}>
          <StatusIcon code={status.code} size={28} className={MOVING.has(status.code) ? classes.moving : undefined} />
        </div>
        <div className={classes.words}>
          <Title order={1} id="status-headline" className={`${classes.headline} num`} data-testid="headline">
            {status.headline}
          </Title>
          <Text className={`${classes.detail} num selectable`} data-testid="detail">
            {status.detail}
          </Text>
          <VerifyResult />
          <LastChecked />
        </div>
        <Buttons />
      </div>
      {status.progress && <ProgressPanel progress={status.progress} />}
    </section>
  );
}

/** Shows `Last checked 4 minutes ago`. */
function LastChecked() {
  const { configured } = useFacts();
  const { answeredAt: at } = useStatus();
  const now = useNow();
  if (!configured) return null;
  if (at === null) {
    return (
      <Text size="xs" c="dimmed">
        Not checked yet
      </Text>
    );
  }
  return (
    <Tooltip label={FORMAT.full(at)} position="bottom-start">
      <Text size="xs" c="dimmed" w="fit-content" className="num">
        Last checked {FORMAT.ago(at, now)}
      </Text>
    </Tooltip>
  );
}

/** Statuses that end within seconds and so need no button. */
const TRANSIENT = new Set(['starting', 'agent-restarting', 'cancelling', 'finishing']);

function Buttons() {
  const { primary, secondary, code } = useStatus();
  const { paused, phase, agent } = useFacts();
  const actions = useActions();
  const transient = TRANSIENT.has(code);
  const more = !transient && phase.kind === 'idle' && agent.state === 'alive';
  return (
    <div className={classes.buttons}>
      {secondary
        .filter(({ id }) => id !== 'pause')
        .map((each) => (
          <Button key={each.id} variant="default" onClick={() => actions.run(each)}>
            {each.label}
          </Button>
        ))}
      {!transient && agent.state === 'alive' && paused === null && <PauseMenu />}
      {(primary || more) && (
        <div className={classes.split}>
          {primary && <Primary action={primary} attached={more} />}
          {more && <MoreMenu attached={primary !== null} />}
        </div>
      )}
    </div>
  );
}

function Primary({ action, attached }: { action: Action; attached: boolean }) {
  const actions = useActions();
  return (
    <Button
      data-testid="primary"
      variant={action.id === 'cancel' ? 'default' : 'filled'}
      className={attached ? classes.attached : undefined}
      onClick={() => actions.run(action)}
      rightSection={
        action.count === undefined ? undefined : (
          <span className={`${classes.count} num`}>↓ {FORMAT.count(action.count)}</span>
        )
      }
    >
      {action.label}
    </Button>
  );
}
