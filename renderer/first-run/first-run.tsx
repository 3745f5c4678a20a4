import { Stepper, Text, Title } from '@mantine/core';
import type { Settings, SettingsFault } from '@tidemark/electron/contract/settings';
import { relayAddressProblem } from '@tidemark/protocol/relay-address';
import { feedProblem } from '../settings/check-input.ts';
import { SettingsFaults } from '../settings/settings-faults.tsx';
import { Mark } from '../shell/mark.tsx';
import type { SetupDraft } from '../state/app-store.ts';
import { useApp, useSettings } from '../state/context.tsx';
import classes from './first-run.module.css';
import { KeyStep } from './key-step.tsx';
import { ServerStep } from './server-step.tsx';
import { StartStep } from './start-step.tsx';

const STEPS = [ServerStep, KeyStep, StartStep];

const NO_FAULTS: readonly SettingsFault[] = [];

/** Returns the initial entries, with known settings filled in. A PC without a usable key starts at the key step. */
function firstDraft({ relayUrl, feed }: Settings, faults: readonly SettingsFault[]): SetupDraft {
  const connected = relayAddressProblem(relayUrl) === null && feedProblem(feed) === null;
  const lostKey = faults.some(({ kind }) => kind === 'key-lost' || kind === 'key-elsewhere');
  return { step: connected && lostKey ? 1 : 0, relayUrl, feed, token: '', found: null };
}

/**
 * Connects this PC in three steps: server, key, first sync. The store holds the entries, so that they survive a visit
 * to another screen. Only the last step saves them.
 */
export function FirstRun() {
  const settings = useSettings();
  const stored = useApp((state) => state.draft);
  const setDraft = useApp((state) => state.setDraft);
  const faults = useApp((state) => state.app?.settingsFaults ?? NO_FAULTS);
  const draft = stored ?? firstDraft(settings, faults);
  const change = (part: Partial<SetupDraft>) => setDraft({ ...draft, ...part });
  const Step = STEPS[draft.step] ?? ServerStep;
  return (
    <div className={classes.screen}>
      <div className={classes.welcome}>
        <span className={classes.mark}>
          <Mark size={44} />
        </span>
        <div>
          <Title order={1} className={classes.title} data-testid="headline">
            {faults.length > 0 ? 'Connect this PC again' : 'Welcome to Tidemark'}
          </Title>
          <Text c="dimmed">
            {faults.length > 0
              ? 'Tidemark receives no data until this PC is connected.'
              : 'Not set up yet. Connect this PC to receive data.'}
          </Text>
        </div>
      </div>
      <SettingsFaults />
      <div className={`card ${classes.card}`} data-testid="first-run">
        <Stepper
          active={draft.step}
          onStepClick={(step) => step < draft.step && change({ step: step as SetupDraft['step'] })}
          allowNextStepsSelect={false}
          size="xs"
          iconSize={28}
          aria-label="Steps"
        >
          <Stepper.Step label="Server" />
          <Stepper.Step label="Key" />
          <Stepper.Step label="First sync" />
        </Stepper>
        <Step key={draft.step} draft={draft} change={change} />
      </div>
    </div>
  );
}
