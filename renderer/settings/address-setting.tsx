import { Button, Group, Modal, PasswordInput, Stack, Text } from '@mantine/core';
import type { Settings, SettingsChange } from '@tidemark/electron/contract/settings';
import { isKeyOf, relayAddressProblem, serverOf } from '@tidemark/protocol/relay-address';
import { useState } from 'react';
import { describeFault } from '../bridge.ts';
import { tokenProblem } from './check-input.ts';
import { TextSetting } from './text-setting.tsx';
import { UnencryptedNote } from './unencrypted-note.tsx';
import { useSave } from './use-save.ts';

interface Props {
  settings: Settings;
  /** The text in the address field. */
  typed: string;
  /** The text in the key field, which is saved with the address if it is a key. */
  token: string;
  setToken: (token: string) => void;
  onType: (text: string) => void;
}

/**
 * The field for the server's address. If the stored key belongs to another server than the typed address, a dialog asks
 * for the key of the new server, or for the confirmation that the stored key may be sent there. Until then, the old
 * address stays in use.
 */
export function AddressSetting({ settings, typed, token, setToken, onType }: Props) {
  const [asked, setAsked] = useState<string | null>(null);
  // A new field drops an address that was not confirmed.
  const [dropped, setDropped] = useState(0);
  const changeFor = (address: string): SettingsChange | null => {
    if (!settings.hasToken || isKeyOf(settings.keyServer, address)) return { relayUrl: address };
    if (tokenProblem(token) === null) return { relayUrl: address, token: token.trim() };
    setAsked(address);
    return null;
  };
  const drop = () => {
    setAsked(null);
    setDropped((count) => count + 1);
    onType(settings.relayUrl);
  };
  return (
    <>
      <TextSetting
        key={dropped}
        label="Server address"
        placeholder="https://relay.example.com"
        setting="relayUrl"
        value={settings.relayUrl}
        problem={relayAddressProblem}
        changeFor={changeFor}
        onSaved={(change) => change.token !== undefined && setToken('')}
        onType={onType}
      />
      <UnencryptedNote address={typed} />
      {asked !== null && (
        <NewServerDialog address={asked} keyServer={settings.keyServer} drop={drop} close={() => setAsked(null)} />
      )}
    </>
  );
}

interface DialogProps {
  address: string;
  keyServer: string;
  /** Closes the dialog and keeps the old address. */
  drop: () => void;
  /** Closes the dialog after the new address was saved. */
  close: () => void;
}

function NewServerDialog({ address, keyServer, drop, close }: DialogProps) {
  const { save, saving, fault } = useSave();
  const [token, setToken] = useState('');
  const [tried, setTried] = useState(false);
  const server = serverOf(address);
  const why = token.trim() === '' ? null : tokenProblem(token);
  const confirm = async () => {
    setTried(true);
    if (why !== null) return;
    const key = token.trim() === '' ? { sendKeyTo: server } : { token: token.trim() };
    if (await save({ relayUrl: address, ...key })) close();
  };
  return (
    <Modal opened onClose={drop} title={`Send the stored key to ${new URL(server).host}?`}>
      <Stack gap="md">
        <Text size="sm">
          The key of this PC was stored for {keyServer === '' ? 'another server' : <b>{keyServer}</b>}. With the new
          address, Tidemark sends it to <b>{server}</b>. A server that has the key can read the data of this PC. Send it
          only if head office gave you this address.
        </Text>
        <UnencryptedNote address={address} />
        <PasswordInput
          label={`Key for ${new URL(server).host}`}
          placeholder="Leave empty to send the stored key"
          value={token}
          error={(tried ? why : null) ?? (fault ? describeFault(fault).means : null)}
          onChange={(event) => setToken(event.currentTarget.value)}
          autoComplete="off"
        />
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={drop} data-autofocus>
            Keep the old address
          </Button>
          <Button onClick={() => void confirm()} loading={saving}>
            {token.trim() === '' ? 'Send the stored key' : 'Use this key'}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
