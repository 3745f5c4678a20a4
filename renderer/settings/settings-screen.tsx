import { Button, SegmentedControl, Text, Title } from '@mantine/core';
import { IconCopy } from '@tabler/icons-react';
import type { Settings } from '@tidemark/electron/contract/settings';
import { isKeyOf, relayAddressProblem } from '@tidemark/protocol/relay-address';
import { type ReactNode, useId, useState } from 'react';
import { Problem } from '../shell/problem.tsx';
import { useSettings } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import { useAnswer } from '../state/use-answer.ts';
import { AddressSetting } from './address-setting.tsx';
import { feedProblem, nameProblem } from './check-input.ts';
import { ConnectionResult, TestButton, useConnectionTest } from './connection-test.tsx';
import { KeySetting } from './key-setting.tsx';
import classes from './settings.module.css';
import { SettingsFaults } from './settings-faults.tsx';
import { TextSetting } from './text-setting.tsx';
import { useSave } from './use-save.ts';

/** The settings screen. It applies each change immediately. */
export function SettingsScreen() {
  return (
    <div className={classes.screen}>
      <Title order={1} className={classes.title}>
        Settings
      </Title>
      <SettingsFaults />
      <Connection />
      <Names />
      <SyncPart />
      <Appearance />
      <About />
    </div>
  );
}

function Part({ title, text, children }: { title: string; text: string; children: ReactNode }) {
  const id = useId();
  return (
    <section className={`card ${classes.part}`} aria-labelledby={id}>
      <div className={classes.partHead}>
        <h2 id={id}>{title}</h2>
        <p>{text}</p>
      </div>
      <div className={classes.fields}>{children}</div>
    </section>
  );
}

function Connection() {
  const settings = useSettings();
  const [typed, setTyped] = useState<{ relayUrl?: string; feed?: string }>({});
  const [token, setToken] = useState('');
  const { test, testing, result } = useConnectionTest();
  const relayUrl = typed.relayUrl ?? settings.relayUrl;
  const feed = typed.feed ?? settings.feed;
  // A test sends the stored key only to the server for which it was stored.
  const needsKey = !settings.hasToken || !isKeyOf(settings.keyServer, relayUrl);
  const untestable =
    relayAddressProblem(relayUrl) !== null || feedProblem(feed) !== null || (token.trim() === '' && needsKey);
  return (
    <Part title="Connection" text="Where this PC gets its data. Ask your administrator for these.">
      <AddressSetting
        settings={settings}
        typed={relayUrl}
        token={token}
        setToken={setToken}
        onType={(text) => setTyped((old) => ({ ...old, relayUrl: text }))}
      />
      <TextSetting
        label="Data set"
        placeholder="shop"
        setting="feed"
        value={settings.feed}
        problem={feedProblem}
        onType={(text) => setTyped((old) => ({ ...old, feed: text }))}
      />
      <KeySetting settings={settings} token={token} setToken={setToken} />
      <div className={classes.test}>
        <TestButton
          testing={testing}
          disabled={untestable}
          onClick={() => void test({ relayUrl, feed, ...(token.trim() === '' ? {} : { token: token.trim() }) })}
        />
        <ConnectionResult result={result} testing={testing} />
      </div>
    </Part>
  );
}

function Names() {
  const { centralName, branchName } = useSettings();
  return (
    <Part title="Names" text="Names that this app shows for head office and for this PC.">
      <TextSetting
        label="Central database"
        placeholder="Central database"
        setting="centralName"
        value={centralName}
        problem={nameProblem}
      />
      <TextSetting
        label="This PC"
        placeholder="This PC"
        setting="branchName"
        value={branchName}
        problem={nameProblem}
      />
    </Part>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  data: { value: T; label: string }[];
  pick: (value: T) => void;
  note?: string | undefined;
}

function Choice<T extends string>({ label, value, data, pick, note }: ChoiceProps<T>) {
  const id = useId();
  return (
    <div>
      <Text size="sm" fw={600} mb={4} id={id}>
        {label}
      </Text>
      <SegmentedControl
        data={data}
        value={value}
        onChange={(next) => pick(next)}
        aria-labelledby={id}
        size="sm"
        className={classes.choice}
      />
      {note && (
        <Text size="xs" c="dimmed" mt={5}>
          {note}
        </Text>
      )}
    </div>
  );
}

const EVERY: { value: `${Settings['everyMinutes']}`; label: string }[] = [
  { value: '0', label: 'Off' },
  { value: '1', label: '1 min' },
  { value: '5', label: '5 min' },
  { value: '15', label: '15 min' },
  { value: '60', label: '60 min' },
];

function SyncPart() {
  const { everyMinutes, automatic } = useSettings();
  const { save, fault } = useSave();
  return (
    <Part title="Sync" text="When this PC looks for changes on its own. Sync now works at any time.">
      <Choice
        label="Sync automatically"
        value={`${everyMinutes}`}
        data={EVERY}
        pick={(value) => void save({ everyMinutes: Number(value) as Settings['everyMinutes'] })}
        note={everyMinutes === 0 ? 'This PC receives changes only when you sync.' : undefined}
      />
      <Choice
        label="When changes are waiting"
        value={automatic}
        data={[
          { value: 'sync', label: 'Receive them' },
          { value: 'check', label: 'Just show them' },
        ]}
        pick={(value) => void save({ automatic: value })}
        note={everyMinutes === 0 ? 'Applies when automatic sync is on.' : undefined}
      />
      {fault && <Problem fault={fault} />}
    </Part>
  );
}

function Appearance() {
  const { theme } = useSettings();
  const { save, fault } = useSave();
  return (
    <Part title="Appearance" text="Follow the computer, or choose.">
      <Choice
        label="Theme"
        value={theme}
        data={[
          { value: 'system', label: 'System' },
          { value: 'light', label: 'Light' },
          { value: 'dark', label: 'Dark' },
        ]}
        pick={(value) => void save({ theme: value })}
      />
      {fault && <Problem fault={fault} />}
    </Part>
  );
}

function About() {
  const { databasePath } = useSettings();
  const { data, fault, reload } = useAnswer('app.info', {}, '');
  const { copy } = useActions();
  const facts: [string, string][] = [
    ...(data
      ? ([
          ['Tidemark', data.version],
          ['Electron', data.electron],
          ['Node.js', data.node],
          ['SQLite', data.sqlite ?? 'Unknown'],
          ['System', data.platform],
        ] as [string, string][])
      : []),
    ['Local database', databasePath || '—'],
  ];
  return (
    <Part title="About" text="Version details to share with support.">
      {fault && <Problem fault={fault} retry={reload} />}
      <dl className={`${classes.about} num selectable`}>
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Button
        variant="default"
        w="fit-content"
        leftSection={<IconCopy size={15} aria-hidden />}
        onClick={() => copy(facts.map(([label, value]) => `${label}: ${value}`).join('\n'), 'Versions')}
      >
        Copy versions
      </Button>
    </Part>
  );
}
