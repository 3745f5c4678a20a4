import { Button, Group, Text, TextInput } from '@mantine/core';
import type { Fault } from '@tidemark/protocol/fault';
import { FORMAT } from '@tidemark/status/format';
import { useState } from 'react';
import { faultOf } from '../bridge.ts';
import { nameProblem } from '../settings/check-input.ts';
import { ConnectionResult } from '../settings/connection-test.tsx';
import { Problem } from '../shell/problem.tsx';
import { useApp, useSettings, useTidemark } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import { StepForm, type StepProps } from './step-form.tsx';

/** Step 3: saves everything and starts the first sync. */
export function StartStep({ draft, change }: StepProps) {
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
