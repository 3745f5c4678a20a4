import { Button, Loader, Text } from '@mantine/core';
import { IconCircleCheck, IconCircleX, IconPlugConnected } from '@tabler/icons-react';
import type { Input, Output } from '@tidemark/electron/contract/contract';
import { FORMAT } from '@tidemark/status/format';
import { useCallback, useState } from 'react';
import { describeFault, faultOf } from '../bridge.ts';
import { useTidemark } from '../state/context.tsx';
import classes from './settings.module.css';

type TestResult = Output<'connection.test'>;

/** Tests a connection without saving it. */
export function useConnectionTest() {
  const { api } = useTidemark();
  const [result, setResult] = useState<TestResult | null>(null);
  const [testing, setTesting] = useState(false);
  const test = useCallback(
    async (input: Input<'connection.test'>): Promise<TestResult> => {
      setTesting(true);
      setResult(null);
      const answer = await api
        .call('connection.test', input)
        .catch((thrown: unknown): TestResult => ({ ok: false, fault: faultOf(thrown) }));
      setResult(answer);
      setTesting(false);
      return answer;
    },
    [api],
  );
  return { test, testing, result, clear: () => setResult(null) };
}

export function ConnectionResult({ result, testing }: { result: TestResult | null; testing: boolean }) {
  return (
    <div aria-live="polite" className={classes.result}>
      {testing && (
        <span className={classes.resultLine}>
          <Loader size={16} />
          <Text size="sm">Connecting to the server…</Text>
        </span>
      )}
      {result?.ok === true && <Found status={result.status} latencyMs={result.latencyMs} />}
      {result?.ok === false && (
        <span className={classes.resultLine} data-severity="error" data-testid="test-failed">
          <IconCircleX size={18} aria-hidden className={classes.resultIcon} />
          <Text size="sm" className="selectable">
            {describeFault(result.fault).means} {describeFault(result.fault).todo}{' '}
            <Text span size="xs" c="dimmed">
              ({result.fault.code})
            </Text>
          </Text>
        </span>
      )}
    </div>
  );
}

function Found({ status, latencyMs }: Omit<Extract<TestResult, { ok: true }>, 'ok'>) {
  const head = status.head ? `Its newest position is ${FORMAT.count(status.head.seq)}.` : 'It has no data yet.';
  return (
    <span className={classes.resultLine} data-severity="ok" data-testid="test-ok">
      <IconCircleCheck size={18} aria-hidden className={classes.resultIcon} />
      <Text size="sm" className="num selectable">
        Connected to “{status.relay.name}”, version {status.relay.version}, in{' '}
        {FORMAT.count(Math.max(1, Math.round(latencyMs)))} ms. {head}
      </Text>
    </span>
  );
}

export function TestButton({
  onClick,
  testing,
  disabled,
}: {
  onClick: () => void;
  testing: boolean;
  disabled: boolean;
}) {
  return (
    <Button
      variant="default"
      leftSection={<IconPlugConnected size={16} aria-hidden />}
      onClick={onClick}
      loading={testing}
      disabled={disabled}
    >
      Test connection
    </Button>
  );
}
