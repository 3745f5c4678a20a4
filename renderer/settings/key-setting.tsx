import { Button, PasswordInput, Text } from '@mantine/core';
import { IconKey, IconKeyOff } from '@tabler/icons-react';
import type { Settings } from '@tidemark/electron/contract/settings';
import { useEffect, useRef, useState } from 'react';
import { describeFault } from '../bridge.ts';
import { useApp } from '../state/context.tsx';
import { tokenProblem } from './check-input.ts';
import classes from './settings.module.css';
import { Refused } from './text-setting.tsx';
import { useSave } from './use-save.ts';

/** Describes where the key is stored. The window never receives the key itself. */
export function keyStoreText({ hasToken, tokenStore }: Pick<Settings, 'hasToken' | 'tokenStore'>): string {
  if (!hasToken || tokenStore === 'none') return 'No key is stored.';
  if (tokenStore === 'os') return 'A key is stored, encrypted by the operating system.';
  return 'A key is stored in a file that only your user account can read. This computer has no key store to encrypt it.';
}

/** Shows where the key is stored, if any, and accepts a new one. */
export function KeySetting({
  settings,
  token,
  setToken,
}: {
  settings: Settings;
  token: string;
  setToken: (token: string) => void;
}) {
  const [tried, setTried] = useState(false);
  const { save, saving, fault } = useSave();
  const focusKey = useApp((state) => state.focusKey);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focusKey) field.current?.focus();
  }, [focusKey]);
  const why = tried ? (tokenProblem(token) ?? (fault ? describeFault(fault).means : null)) : null;
  const commit = async () => {
    setTried(true);
    if (tokenProblem(token) !== null) return;
    if (await save({ token: token.trim() })) {
      setToken('');
      setTried(false);
    }
  };
  const Icon = settings.hasToken ? IconKey : IconKeyOff;
  return (
    <div>
      <div className={classes.keyRow}>
        <PasswordInput
          ref={field}
          label="Key"
          placeholder={settings.hasToken ? 'Enter a new key to replace the stored one' : 'Paste the key here'}
          value={token}
          error={
            why === null ? undefined : (
              <Refused why={why} still={settings.hasToken ? 'The stored key is still in use.' : 'Nothing was saved.'} />
            )
          }
          onChange={(event) => {
            setToken(event.currentTarget.value);
            setTried(false);
          }}
          onKeyDown={(event) => {
            if (event.key === 'Enter') void commit();
          }}
          autoComplete="off"
          flex={1}
        />
        <Button variant="default" onClick={() => void commit()} loading={saving} disabled={token === ''}>
          Save key
        </Button>
      </div>
      <Text size="xs" c="dimmed" mt={5} className={classes.keyState}>
        <Icon size={14} aria-hidden />
        {keyStoreText(settings)}
      </Text>
    </div>
  );
}
