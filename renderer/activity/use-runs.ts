import type { Fault } from '@tidemark/protocol/fault';
import type { Run } from '@tidemark/protocol/run';
import { useCallback, useEffect, useRef, useState } from 'react';
import { faultOf } from '../bridge.ts';
import { useFacts, useTidemark } from '../state/context.tsx';

/** Loads the history of runs page by page. The agent stores it. */

const PAGE = 200;

/** Joins two lists, newest first. If a run is in both, uses the one in `newer`, which was fetched later. */
function joinRuns(newer: readonly Run[], older: readonly Run[]): Run[] {
  const known = new Set(newer.map(({ id }) => id));
  return [...newer, ...older.filter(({ id }) => !known.has(id))];
}

/** Loads the list of runs page by page, newest first. A run appears when it ends. */
export function useRuns() {
  const { api } = useTidemark();
  const last = useFacts().lastRun?.id ?? null;
  const [runs, setRuns] = useState<Run[]>([]);
  const [complete, setComplete] = useState(false);
  const [loading, setLoading] = useState(true);
  const [fault, setFault] = useState<Fault | null>(null);
  const live = useRef(true);

  const load = useCallback(
    (before: number | null) => {
      setLoading(true);
      api.call('runs.list', { before, limit: PAGE }).then(
        (page) => {
          if (!live.current) return;
          setRuns((old) => (before === null ? joinRuns(page, old) : joinRuns(old, page)));
          // A page that is not full is the last one. A refresh fetches only the first page, so it does not change
          // whether the older pages are complete.
          setComplete((old) => (before === null ? old || page.length < PAGE : page.length < PAGE));
          setFault(null);
          setLoading(false);
        },
        (thrown: unknown) => {
          if (!live.current) return;
          setFault(faultOf(thrown));
          setLoading(false);
        },
      );
    },
    [api],
  );

  useEffect(() => {
    live.current = true;
    return () => {
      live.current = false;
    };
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the list is fetched again when a run has ended
  useEffect(() => load(null), [load, last]);
  return { runs, fault, loading, complete, more: () => load(runs.at(-1)?.startedAt ?? null), reload: () => load(null) };
}
