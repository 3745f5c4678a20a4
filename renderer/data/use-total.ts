import type { RowSet } from '@tidemark/electron/contract/contract';
import { type Dispatch, type SetStateAction, useEffect, useState } from 'react';
import { useTidemark } from '../state/context.tsx';

/** Interval at which the number of rows is requested while the reader counts them, ms. */
const ASK_MS = 500;

/**
 * Returns the number of rows of a row set, and its setter for pages, which contain the number too. While it is null and
 * no page is being read, requests it until the reader has counted the rows.
 */
export function useTotal(set: RowSet, isBusy: boolean): [number | null, Dispatch<SetStateAction<number | null>>] {
  const { api } = useTidemark();
  const [total, setTotal] = useState<number | null>(null);
  const key = JSON.stringify(set);
  const isWaiting = total === null && !isBusy;
  useEffect(() => {
    if (!isWaiting) return;
    let isLive = true;
    const timer = setInterval(() => {
      api.call('data.count', { set: JSON.parse(key) as RowSet }).then(
        ({ total: found }) => isLive && found !== null && setTotal(found),
        // The next page reports the fault.
        () => undefined,
      );
    }, ASK_MS);
    return () => {
      isLive = false;
      clearInterval(timer);
    };
  }, [api, key, isWaiting]);
  return [total, setTotal];
}
