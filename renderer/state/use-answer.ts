import type { Input, MethodName, Output } from '@tidemark/electron/contract/contract';
import type { Fault } from '@tidemark/protocol/fault';
import { useCallback, useEffect, useRef, useState } from 'react';
import { faultOf } from '../bridge.ts';
import { useTidemark } from './context.tsx';

/** Minimum time between two fetches of a list, in ms. */
const MIN_INTERVAL_MS = 1000;

interface Answer<T> {
  /** The last answer. It remains while a newer one is being fetched. */
  data: T | null;
  fault: Fault | null;
  /** Whether `data` answers the present call. */
  isCurrent: boolean;
  reload: () => void;
}

/**
 * Returns the app's answer to `method`, and fetches it again whenever `input` or `version` changes. Drops an answer to
 * an earlier call.
 */
export function useAnswer<M extends MethodName>(method: M, input: Input<M>, version: string): Answer<Output<M>> {
  const { api } = useTidemark();
  const [answer, setAnswer] = useState<{ key: string; version: string; data: Output<M> | null; fault: Fault | null }>({
    key: '',
    version: '',
    data: null,
    fault: null,
  });
  const [reloads, setReloads] = useState(0);
  const askedAt = useRef(0);
  const key = JSON.stringify(input);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of `version` or `reloads` triggers a new request
  useEffect(() => {
    let live = true;
    const ask = () => {
      askedAt.current = performance.now();
      api.call(method, JSON.parse(key) as Input<M>).then(
        (data) => live && setAnswer({ key, version, data, fault: null }),
        (thrown: unknown) =>
          live &&
          setAnswer((old) => ({ key, version, data: old.key === key ? old.data : null, fault: faultOf(thrown) })),
      );
    };
    const wait = askedAt.current === 0 ? 0 : askedAt.current + MIN_INTERVAL_MS - performance.now();
    const timer = wait > 0 ? setTimeout(ask, wait) : undefined;
    if (wait <= 0) ask();
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, [api, method, key, version, reloads]);

  const reload = useCallback(() => {
    askedAt.current = 0;
    setReloads((count) => count + 1);
  }, []);
  const isCurrent = answer.key === key && answer.version === version;
  return { data: answer.data, fault: answer.fault, isCurrent, reload };
}
