import { notifications } from '@mantine/notifications';
import type { Seq } from '@tidemark/protocol/cursor';
import type { Mode } from '@tidemark/protocol/run';
import type { Action } from '@tidemark/status/status';
import { useMemo } from 'react';
import { type Api, describeFault, faultOf } from '../bridge.ts';
import type { AppStoreApi } from './app-store.ts';
import { useTidemark } from './context.tsx';
import { detailsText } from './details-text.ts';

/** The actions of the window's buttons. Each shows a failure as a notification. */
interface Actions {
  run: (action: Action) => void;
  start: (mode: Mode, target?: Seq) => void;
  cancel: () => void;
  /** Pauses automatic sync until a time in ms, or until the person resumes it if `until` is null. */
  pause: (until: number | null) => void;
  copy: (text: string, what: string) => void;
}

export function makeActions(api: Api, store: AppStoreApi): Actions {
  const attempt = (call: Promise<unknown>, done?: () => void) => {
    call.then(
      () => done?.(),
      (thrown: unknown) => {
        const { means, todo } = describeFault(faultOf(thrown));
        notifications.show({ color: 'red', title: means, message: todo, autoClose: 10_000 });
      },
    );
  };
  const start = (mode: Mode, target?: Seq) =>
    attempt(api.call('sync.start', { mode, ...(target === undefined ? {} : { target }) }));
  const copy = (text: string, what: string) =>
    attempt(api.call('clipboard.write', { text }), () =>
      notifications.show({ message: `${what} copied`, autoClose: 2500 }),
    );
  const cancel = () => attempt(api.call('sync.cancel', {}));

  /**
   * Returns the mode in which to retry a failed run: its own mode. A failed `up-to` run only checks, because the chosen
   * transaction may be out of date.
   */
  const retryMode = (): Mode => {
    const mode = store.getState().app?.facts.lastRun?.mode ?? 'now';
    return mode === 'up-to' ? 'check' : mode;
  };

  return {
    start,
    cancel,
    copy,
    pause: (until) => attempt(api.call('sync.pause', { until })),
    run: ({ id }) => {
      const { show, showKey, open, app } = store.getState();
      switch (id) {
        case 'set-up':
          return show('sync');
        case 'first-sync':
        case 'sync-now':
          return start('now');
        case 'check':
          return start('check');
        case 'cancel':
          return cancel();
        case 'pause':
          return attempt(api.call('sync.pause', { until: null }));
        case 'resume':
          return attempt(api.call('sync.resume', {}));
        case 'retry':
          return start(retryMode());
        case 'recopy':
          return open('recopy');
        case 'verify':
          return open('verify');
        case 'enter-key':
          return showKey();
        case 'settings':
          return show('settings');
        case 'restart-agent':
          return attempt(api.call('agent.restart', {}));
        case 'copy-details':
          return app ? copy(detailsText(app.status, app.facts), 'Details') : undefined;
      }
    },
  };
}

export function useActions(): Actions {
  const { api, store } = useTidemark();
  return useMemo(() => makeActions(api, store), [api, store]);
}
