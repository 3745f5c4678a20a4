import { notifications } from '@mantine/notifications';
import { useEffect, useRef } from 'react';
import { sayVerify, verifyOutcome } from '../activity/verify-words.ts';
import { useFacts, useNow } from '../state/context.tsx';

const TITLES = { 'All equal': 'Data verified', Repaired: 'Data repaired', 'Fresh copy': 'Fresh copy taken' };

/** Tells the result of a comparison that a person asked for, when it ends; on whatever screen they are by then. */
export function VerifyNotice() {
  const run = useFacts().lastRun;
  const openedAt = useRef(useNow());
  const known = useRef(run?.id ?? null);
  useEffect(() => {
    if (run === null || run.id === known.current) return;
    known.current = run.id;
    // The last run of an earlier day comes, too, when the local database is opened.
    if (run.endedAt < openedAt.current) return;
    const found = verifyOutcome(run);
    if (run.trigger !== 'manual' || found === null) return;
    notifications.show({
      title: TITLES[found],
      message: sayVerify(run),
      autoClose: 12_000,
    });
  }, [run]);
  return null;
}
