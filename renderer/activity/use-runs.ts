import type { Fault } from '@tidemark/protocol/fault';
import type { Run } from '@tidemark/protocol/run';
import { useCallback, useEffect, useRef, useState } from 'react';
import { faultOf } from '../bridge.ts';
import { useFacts, useTidemark } from '../state/context.tsx';

const PAGE = 200;

/** Newest first, without doubles: a page fetched anew goes over what is there. */
export function joinRuns(newer: readonly Run[], older: readonly Run[]): Run[] {
  const have = new Set(newer.map(({ id }) => id));
  return [...newer, ...older.filter(({ id }) => !have.has(id))];
}

/** The list of runs, fetched by pages from the newest back; new ones appear when they end. */
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
          // A short first page says that there is no more; on a refresh the older pages are there already.
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
  // biome-ignore lint/correctness/useExhaustiveDependencies: a run that ended is why the list is fetched anew
  useEffect(() => load(null), [load, last]);
  return { runs, fault, loading, complete, more: () => load(runs.at(-1)?.startedAt ?? null), reload: () => load(null) };
}
