import { notifications } from '@mantine/notifications';
import { useEffect, useRef } from 'react';
import { describeVerify, verifyOutcome } from '../activity/verify-text.ts';
import { useFacts, useNow } from '../state/context.tsx';

/** Shows notifications about comparisons. */

const TITLES = { Identical: 'Data verified', Repaired: 'Data repaired', 'Fresh copy': 'Fresh copy downloaded' };

/**
 * Shows a notification with the result of a comparison that a person started, whichever screen is open when it ends.
 */
export function VerifyNotice() {
  const run = useFacts().lastRun;
  const openedAt = useRef(useNow());
  const known = useRef(run?.id ?? null);
  useEffect(() => {
    if (run === null || run.id === known.current) return;
    known.current = run.id;
    // Skip runs that ended before the window opened. Opening the local database also reports the last of those.
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
