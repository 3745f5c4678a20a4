import { Anchor, Text } from '@mantine/core';
import { FORMAT } from '@tidemark/status/format';
import { sayVerify } from '../activity/verify-words.ts';
import { useApp, useFacts, useNow } from '../state/context.tsx';

/** What the last run found, while that was a comparison. A failed one is the status itself. */
export function VerifyResult() {
  const { lastRun, phase } = useFacts();
  const show = useApp((state) => state.show);
  const now = useNow();
  if (lastRun?.mode !== 'verify' || lastRun.outcome === 'failed' || phase.kind !== 'idle') return null;
  return (
    <Text size="sm" className="num" data-testid="verify-result">
      {sayVerify(lastRun)} ({FORMAT.moment(lastRun.endedAt, now)}).{' '}
      <Anchor component="button" size="sm" onClick={() => show('activity')}>
        Show in Activity
      </Anchor>
    </Text>
  );
}
