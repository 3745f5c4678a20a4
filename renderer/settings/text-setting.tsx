import { TextInput } from '@mantine/core';
import type { SettingsChange } from '@tidemark/electron/contract/settings';
import { useEffect, useState } from 'react';
import { describeFault } from '../bridge.ts';
import { useSave } from './use-save.ts';

type Key = 'relayUrl' | 'feed' | 'centralName' | 'branchName';

interface Props {
  label: string;
  description?: string;
  placeholder?: string;
  setting: Key;
  value: string;
  /** Returns why a text is invalid, or null if it is valid. */
  problem: (text: string) => string | null;
  /** Returns the change that saves a text. Null: the text is not saved now. Default: the setting alone. */
  changeFor?: (text: string) => SettingsChange | null;
  /** Called after a text was saved. */
  onSaved?: (change: SettingsChange) => void;
  /** Called with the text at each keystroke, so that a connection test can use it before it is saved. */
  onType?: (text: string) => void;
}

/**
 * A text field that saves on Enter or when it loses the focus. It does not save an invalid text; instead it shows the
 * reason and the current value.
 */
export function TextSetting({
  label,
  description,
  placeholder,
  setting,
  value,
  problem,
  changeFor,
  onSaved,
  onType,
}: Props) {
  const [text, setText] = useState(value);
  const [tried, setTried] = useState(false);
  const { save, fault } = useSave();
  useEffect(() => setText(value), [value]);

  const type = (next: string) => {
    setText(next);
    setTried(false);
    onType?.(next.trim());
  };
  const commit = () => {
    const next = text.trim();
    if (next === value) {
      type(value);
      return;
    }
    setTried(true);
    if (problem(next) !== null) return;
    const change = changeFor ? changeFor(next) : { [setting]: next };
    if (change !== null) void save(change).then((saved) => saved && onSaved?.(change));
  };
  const why = tried ? (problem(text.trim()) ?? (fault ? describeFault(fault).means : null)) : null;

  return (
    <TextInput
      label={label}
      description={description}
      placeholder={placeholder}
      value={text}
      error={
        why === null ? undefined : (
          <Refused why={why} still={value === '' ? 'Nothing was saved.' : `Still in use: ${value}`} />
        )
      }
      onChange={(event) => type(event.currentTarget.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === 'Enter') commit();
        if (event.key === 'Escape' && text !== value) {
          event.stopPropagation();
          type(value);
        }
      }}
      spellCheck={false}
      autoComplete="off"
    />
  );
}

/** Shows why a value was not saved, and the value still in use. */
export function Refused({ why, still }: { why: string; still: string }) {
  return (
    <>
      {why}
      <br />
      {still}
    </>
  );
}
