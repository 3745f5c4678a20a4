import { notifications } from '@mantine/notifications';
import { useEffect, useRef } from 'react';
import { hasDifferences, sayVerify, wasRepaired } from '../activity/verify-words.ts';
import { useFacts } from '../state/context.tsx';

/** Tells the result of a comparison that a person asked for, when it ends; on whatever screen they are by then. */
export function VerifyNotice() {
  const run = useFacts().lastRun;
  const known = useRef(run?.id ?? null);
  useEffect(() => {
    if (run === null || run.id === known.current) return;
    known.current = run.id;
    if (run.mode !== 'verify' || run.trigger !== 'manual' || !wasRepaired(run)) return;
    notifications.show({
      title: hasDifferences(run) ? 'Data repaired' : 'Data verified',
      message: sayVerify(run),
      autoClose: 12_000,
    });
  }, [run]);
  return null;
}
