import { VisuallyHidden } from '@mantine/core';
import type { Facts } from '@tidemark/status/facts';
import { FORMAT } from '@tidemark/status/format';
import type { Status } from '@tidemark/status/status';
import { useEffect, useRef, useState } from 'react';
import { describeVerify, wasRepaired } from '../activity/verify-text.ts';
import { useApp, useFacts, useStatus } from '../state/context.tsx';

/** Announces changes of the status to screen readers. */

const QUARTERS = [75, 50, 25];

/** The last announcement, to avoid repeating it. */
interface Spoken {
  code: Status['code'];
  run: string | null;
  quarter: number;
}

/**
 * Returns the next text for a screen reader after `before`. It announces only changes of state, each quarter of
 * progress, and the end of a run, because people turn off a reader that talks constantly.
 */
export function announcement(
  before: Spoken,
  status: Status,
  lastRun: Facts['lastRun'],
): { text: string | null; spoken: Spoken } {
  const { progress } = status;
  const percent = progress && progress.total > 0 ? (100 * progress.done) / progress.total : 0;
  const quarter = progress ? (QUARTERS.find((each) => percent >= each) ?? 0) : 0;
  const spoken = { code: status.code, run: lastRun?.id ?? null, quarter };
  const ended = lastRun !== null && spoken.run !== before.run;
  if (ended && lastRun.mode === 'verify' && wasRepaired(lastRun))
    return { text: `${describeVerify(lastRun)}. ${status.headline}`, spoken };
  if (ended && lastRun.outcome === 'done') {
    const changes = lastRun.inserted + lastRun.updated + lastRun.deleted + lastRun.truncated;
    return { text: `Sync finished: ${FORMAT.counted(changes, 'change')} received. ${status.headline}`, spoken };
  }
  if (spoken.code !== before.code) return { text: `${status.headline}. ${status.detail}`, spoken };
  if (progress && quarter > before.quarter)
    return {
      text: `${quarter} percent: ${FORMAT.count(progress.done)} of ${FORMAT.counted(progress.total, progress.unit.slice(0, -1))}`,
      spoken,
    };
  return { text: null, spoken };
}

/** The window's live regions: an assertive one for errors, a polite one for everything else. */
export function Announcer() {
  const status = useStatus();
  const lastRun = useFacts().lastRun;
  const urgent = useApp((state) => state.app?.status.severity === 'error');
  const [text, setText] = useState('');
  const spoken = useRef<Spoken>({ code: status.code, run: lastRun?.id ?? null, quarter: 0 });
  useEffect(() => {
    const next = announcement(spoken.current, status, lastRun);
    spoken.current = next.spoken;
    if (next.text !== null) setText(next.text);
  }, [status, lastRun]);
  return (
    <VisuallyHidden>
      <div aria-live="polite" data-testid="announcer">
        {urgent ? '' : text}
      </div>
      <div aria-live="assertive">{urgent ? text : ''}</div>
    </VisuallyHidden>
  );
}
