import { Button, Group, PasswordInput, Stepper, Text, TextInput, Title } from '@mantine/core';
import type { Settings, SettingsFault } from '@tidemark/electron/contract/settings';
import type { Fault } from '@tidemark/protocol/fault';
import { relayAddressProblem } from '@tidemark/protocol/relay-address';
import { FORMAT } from '@tidemark/status/format';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { faultOf } from '../bridge.ts';
import { feedProblem, nameProblem, tokenProblem } from '../settings/check-input.ts';
import { ConnectionResult, useConnectionTest } from '../settings/connection-test.tsx';
import { SettingsFaults } from '../settings/settings-faults.tsx';
import { Mark } from '../shell/mark.tsx';
import { Problem } from '../shell/problem.tsx';
import type { SetupDraft } from '../state/app-store.ts';
import { useApp, useSettings, useTidemark } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import classes from './first-run.module.css';

const NO_FAULTS: readonly SettingsFault[] = [];

/** Fills in known settings. A PC that only lost its key starts at the key. */
function firstDraft({ relayUrl, feed }: Settings, faults: readonly SettingsFault[]): SetupDraft {
  const connected = relayAddressProblem(relayUrl) === null && feedProblem(feed) === null;
  const lostKey = faults.some(({ kind }) => kind === 'key-lost');
  return { step: connected && lostKey ? 1 : 0, relayUrl, feed, token: '', found: null };
}

/**
 * Connects this PC in three steps: server, key, first sync. The draft lives in the store, so that it survives a look at
 * another screen. Nothing is saved before the last step.
 */
export function FirstRun() {
  const settings = useSettings();
  const stored = useApp((state) => state.draft);
  const setDraft = useApp((state) => state.setDraft);
  const faults = useApp((state) => state.app?.settingsFaults ?? NO_FAULTS);
  const draft = stored ?? firstDraft(settings, faults);
  const change = (part: Partial<SetupDraft>) => setDraft({ ...draft, ...part });
  const Step = [RelayStep, KeyStep, StartStep][draft.step] ?? RelayStep;
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
              : 'This PC is not set up yet. Connect it to a sync server to receive data.'}
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

interface StepProps {
  draft: SetupDraft;
  change: (part: Partial<SetupDraft>) => void;
}

/** A step's form. Its heading takes the focus, so that a screen reader announces the step. */
function StepForm({
  title,
  text,
  children,
  submit,
}: {
  title: string;
  text: string;
  children: ReactNode;
  submit: () => void;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <form
      className={classes.form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div>
        <Title order={2} size="h4" ref={heading} tabIndex={-1} className={classes.heading}>
          {title}
        </Title>
        <Text size="sm" c="dimmed">
          {text}
        </Text>
      </div>
      {children}
    </form>
  );
}

function RelayStep({ draft, change }: StepProps) {
  const [tried, setTried] = useState(false);
  const [urlWhy, feedWhy] = [relayAddressProblem(draft.relayUrl.trim()), feedProblem(draft.feed.trim())];
  return (
    <StepForm
      title="Where does the data come from?"
      text="The sync server passes on the changes made at head office. Ask your administrator for its address and the name of your data set."
      submit={() => {
        setTried(true);
        if (urlWhy === null && feedWhy === null)
          change({ step: 1, relayUrl: draft.relayUrl.trim(), feed: draft.feed.trim() });
      }}
    >
      <TextInput
        label="Server address"
        placeholder="https://relay.example.com"
        value={draft.relayUrl}
        error={tried ? urlWhy : null}
        onChange={(event) => change({ relayUrl: event.currentTarget.value, found: null })}
        spellCheck={false}
      />
      <TextInput
        label="Data set"
        placeholder="shop"
        value={draft.feed}
        error={tried ? feedWhy : null}
        onChange={(event) => change({ feed: event.currentTarget.value, found: null })}
        spellCheck={false}
      />
      <Group justify="flex-end">
        <Button type="submit">Next</Button>
      </Group>
    </StepForm>
  );
}

function KeyStep({ draft, change }: StepProps) {
  const { hasToken } = useSettings();
  const [tried, setTried] = useState(false);
  const { test, testing, result, clear } = useConnectionTest();
  const why = draft.token.trim() === '' && hasToken ? null : tokenProblem(draft.token);
  const submit = async () => {
    setTried(true);
    if (why !== null) return;
    const token = draft.token.trim();
    const answer = await test({ relayUrl: draft.relayUrl, feed: draft.feed, ...(token === '' ? {} : { token }) });
    if (answer.ok) change({ step: 2, found: { status: answer.status, latencyMs: answer.latencyMs } });
  };
  return (
    <StepForm
      title="The key of this PC"
      text={`The key lets this PC read the data set “${draft.feed}” from ${draft.relayUrl}. Ask your administrator for it. Tidemark stores it encrypted where this computer has a key store.`}
      submit={() => void submit()}
    >
      <PasswordInput
        label="Key"
        placeholder={hasToken ? 'A key is stored; leave empty to use it' : 'Paste the key here'}
        value={draft.token}
        error={tried ? why : null}
        onChange={(event) => {
          clear();
          change({ token: event.currentTarget.value, found: null });
        }}
        autoComplete="off"
      />
      <ConnectionResult result={result} testing={testing} />
      <Group justify="space-between">
        <Button variant="default" onClick={() => change({ step: 0 })}>
          Back
        </Button>
        <Group gap="sm">
          {result?.ok === false && (
            <Button variant="default" onClick={() => change({ step: 2, found: null })}>
              Continue anyway
            </Button>
          )}
          <Button type="submit" loading={testing}>
            Test and continue
          </Button>
        </Group>
      </Group>
    </StepForm>
  );
}

function StartStep({ draft, change }: StepProps) {
  const { api } = useTidemark();
  const settings = useSettings();
  const setDraft = useApp((state) => state.setDraft);
  const { start } = useActions();
  const [name, setName] = useState(settings.branchName);
  const [saving, setSaving] = useState(false);
  const [fault, setFault] = useState<Fault | null>(null);
  const plan = draft.found?.status.plan;
  const submit = async () => {
    if (nameProblem(name.trim()) !== null) return;
    setSaving(true);
    setFault(null);
    try {
      const token = draft.token.trim();
      await api.call('settings.set', {
        relayUrl: draft.relayUrl,
        feed: draft.feed,
        branchName: name.trim(),
        ...(token === '' ? {} : { token }),
      });
      setDraft(null);
      start('now');
    } catch (thrown) {
      setFault(faultOf(thrown));
      setSaving(false);
    }
  };
  return (
    <StepForm
      title="Ready for the first sync"
      text="The first sync copies all data once. You can cancel it; the next sync resumes where it stopped."
      submit={() => void submit()}
    >
      {draft.found && <ConnectionResult testing={false} result={{ ok: true, ...draft.found }} />}
      {plan?.by === 'snapshot' && (
        <Text size="sm" className="num">
          To download: <b>{FORMAT.counted(plan.rows, 'row')}</b> in <b>{FORMAT.counted(plan.tables, 'table')}</b>, about{' '}
          <b>{FORMAT.bytes(plan.bytes)}</b>.
        </Text>
      )}
      <TextInput
        label="Name of this PC"
        description="Shown on screen, for example “Branch 7”."
        value={name}
        error={nameProblem(name.trim())}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      {fault && <Problem fault={fault} />}
      <Group justify="space-between">
        <Button variant="default" onClick={() => change({ step: 1 })}>
          Back
        </Button>
        <Button type="submit" loading={saving}>
          Start first sync
        </Button>
      </Group>
    </StepForm>
  );
}
