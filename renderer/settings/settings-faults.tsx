import { Button, Text } from '@mantine/core';
import { IconCopy, IconFileAlert, IconFileX, IconKeyOff, IconSettingsExclamation } from '@tabler/icons-react';
import type { SettingsFault } from '@tidemark/electron/contract/settings';
import { useApp } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import classes from './settings-faults.module.css';

/** The text for each kind of fault: the event, then the data that is safe, then the remedy. */
const WORDS: Record<SettingsFault['kind'], { title: string; text: string; Icon: typeof IconFileX }> = {
  'file-damaged': {
    title: 'The settings of this PC could not be read',
    text: 'Tidemark is using default settings. Data already on this PC is safe. Enter the connection again: Tidemark then writes a new settings file and keeps the damaged one beside it.',
    Icon: IconFileX,
  },
  'fields-invalid': {
    title: 'Some settings of this PC could not be read',
    text: 'They have their default values; all others are in use. Data already on this PC is safe. When you next save a setting, Tidemark keeps the old file beside the new one.',
    Icon: IconFileAlert,
  },
  'preset-refused': {
    title: 'The settings prepared for this PC were not accepted',
    text: 'Nothing was changed on this PC. Ask your administrator to correct the file, or enter the connection by hand.',
    Icon: IconSettingsExclamation,
  },
  'key-lost': {
    title: 'The key of this PC could not be read',
    text: 'The key store of this computer did not return it. This happens after a change of user account or password. All other settings and the data on this PC are safe. Enter the key again.',
    Icon: IconKeyOff,
  },
  'key-elsewhere': {
    title: 'The key of this PC belongs to another server',
    text: 'The server address was changed outside this app. Tidemark does not send the key to the new address. All other settings and the data on this PC are safe. If head office gave you the new address, enter the key again.',
    Icon: IconKeyOff,
  },
};

/** Formats a fault as text to send to an administrator. */
function faultText({ kind, file, reason }: SettingsFault): string {
  return [`Tidemark: ${WORDS[kind].title}`, `Fault: ${kind}`, `File: ${file}`, `Reason: ${reason}`].join('\n');
}

/**
 * Shows faults in the settings that the app found at start, so that a PC that lost its settings does not look like a
 * new one. Every screen that could give this impression contains it.
 */
export function SettingsFaults() {
  const faults = useApp((state) => state.app?.settingsFaults);
  if (!faults || faults.length === 0) return null;
  return (
    <ul className={classes.list} aria-label="Problems with the settings">
      {faults.map((fault) => (
        <Banner key={fault.kind} fault={fault} />
      ))}
    </ul>
  );
}

function Banner({ fault }: { fault: SettingsFault }) {
  const { copy } = useActions();
  const { title, text, Icon } = WORDS[fault.kind];
  return (
    <li className={classes.banner} data-severity="error" data-testid={`settings-fault-${fault.kind}`}>
      <Icon size={22} stroke={1.8} aria-hidden className={classes.icon} />
      <div className={`${classes.words} selectable`}>
        <Text fw={600} size="sm">
          {title}
        </Text>
        <Text size="sm">{text}</Text>
        <dl className={classes.details}>
          <dt>File</dt>
          <dd>{fault.file}</dd>
          <dt>Reason</dt>
          <dd>{fault.reason}</dd>
        </dl>
        <Button
          size="compact-sm"
          variant="default"
          mt={10}
          leftSection={<IconCopy size={14} aria-hidden />}
          onClick={() => copy(faultText(fault), 'Details')}
        >
          Copy details
        </Button>
      </div>
    </li>
  );
}
