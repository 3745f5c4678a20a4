import { Anchor, Text } from '@mantine/core';
import { FORMAT } from '@tidemark/status/format';
import { describeVerify } from '../activity/verify-text.ts';
import { useApp, useFacts, useNow } from '../state/context.tsx';

/** Shows the result of the last run if it was a comparison. The status already shows a failed one. */
export function VerifyResult() {
  const { lastRun, phase } = useFacts();
  const show = useApp((state) => state.show);
  const now = useNow();
  if (lastRun?.mode !== 'verify' || lastRun.outcome === 'failed' || phase.kind !== 'idle') return null;
  return (
    <Text size="sm" className="num" data-testid="verify-result">
      {describeVerify(lastRun)} ({FORMAT.moment(lastRun.endedAt, now)}).{' '}
      <Anchor component="button" size="sm" onClick={() => show('activity')}>
        Show in Activity
      </Anchor>
    </Text>
  );
}
