import { notifications } from '@mantine/notifications';
import { useEffect, useRef } from 'react';
import { describeVerify, verifyOutcome } from '../activity/verify-text.ts';
import { useFacts, useNow } from '../state/context.tsx';

/** Notifications about comparisons. */

const TITLES = { Identical: 'Data verified', Repaired: 'Data repaired', 'Fresh copy': 'Fresh copy downloaded' };

/** Notifies of the result of a comparison that a person started, on whatever screen they are when it ends. */
export function VerifyNotice() {
  const run = useFacts().lastRun;
  const openedAt = useRef(useNow());
  const known = useRef(run?.id ?? null);
  useEffect(() => {
    if (run === null || run.id === known.current) return;
    known.current = run.id;
    // Opening the local database also brings the last run of an earlier day.
    if (run.endedAt < openedAt.current) return;
    const found = verifyOutcome(run);
    if (run.trigger !== 'manual' || found === null) return;
    notifications.show({
      title: TITLES[found],
      message: describeVerify(run),
      autoClose: 12_000,
    });
  }, [run]);
  return null;
}
