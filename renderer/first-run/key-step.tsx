import { Button, Group, PasswordInput } from '@mantine/core';
import { isKeyOf } from '@tidemark/protocol/relay-address';
import { useState } from 'react';
import { tokenProblem } from '../settings/check-input.ts';
import { ConnectionResult, useConnectionTest } from '../settings/connection-test.tsx';
import { useSettings } from '../state/context.tsx';
import { StepForm, type StepProps } from './step-form.tsx';

/** Step 2: asks for the key and tests the connection with it. */
export function KeyStep({ draft, change }: StepProps) {
  const { hasToken, keyServer } = useSettings();
  const hasKey = hasToken && isKeyOf(keyServer, draft.relayUrl);
  const [tried, setTried] = useState(false);
  const { test, testing, result, clear } = useConnectionTest();
  const why = draft.token.trim() === '' && hasKey ? null : tokenProblem(draft.token);
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
        placeholder={hasKey ? 'A key is stored; leave empty to use it' : 'Paste the key here'}
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
