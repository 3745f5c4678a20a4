import { Button, Group, TextInput } from '@mantine/core';
import { relayAddressProblem } from '@tidemark/protocol/relay-address';
import { useState } from 'react';
import { feedProblem } from '../settings/check-input.ts';
import { UnencryptedNote } from '../settings/unencrypted-note.tsx';
import { StepForm, type StepProps } from './step-form.tsx';

/** Step 1: asks for the server and its data set. */
export function ServerStep({ draft, change }: StepProps) {
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
      <UnencryptedNote address={draft.relayUrl} />
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
