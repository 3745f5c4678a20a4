import { SCREENS } from '@tidemark/electron/contract/screens';
import { matchesAccelerator, SHORTCUTS } from '@tidemark/electron/contract/shortcuts';
import { useEffect } from 'react';
import { useTidemark } from '../state/context.tsx';
import { makeActions } from '../state/use-actions.ts';

const isTextField = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
/** Whether a dialog or a menu is open that uses Escape to close. */
const usesEscape = () => document.querySelector('[role="dialog"], [aria-haspopup][aria-expanded="true"]') !== null;

/**
 * Handles the app's shortcuts in the page. A key that is handled here is kept from the menu, which has the same
 * accelerators, so that nothing runs twice.
 */
export function useShortcuts(): void {
  const { api, store } = useTidemark();
  useEffect(() => {
    const actions = makeActions(api, store);
    const onKey = (event: KeyboardEvent) => {
      const { app, show, open, dialog } = store.getState();
      const running = app !== null && (app.facts.phase.kind === 'syncing' || app.facts.phase.kind === 'checking');
      const canStart = app?.facts.configured && app.facts.phase.kind === 'idle' && dialog === null;
      const isKey = (name: keyof typeof SHORTCUTS) => matchesAccelerator(SHORTCUTS[name].accelerator, event);
      const handle = (act: () => void) => {
        event.preventDefault();
        act();
      };
      if (isKey('sync')) return handle(() => canStart && actions.start('now'));
      if (isKey('check')) return handle(() => canStart && actions.start('check'));
      if (isKey('verify')) return handle(() => canStart && open('verify'));
      if (isKey('shortcuts') || (event.key === '?' && !event.ctrlKey && !isTextField(event.target)))
        return handle(() => open('shortcuts'));
      if (isKey('cancel') && running && !event.defaultPrevented && !usesEscape() && !isTextField(event.target))
        return handle(actions.cancel);
      if (isKey('settings')) return handle(() => show('settings'));
      const screen = SCREENS.find(({ accelerator }) => matchesAccelerator(accelerator, event));
      if (screen) handle(() => show(screen.id));
    };
    // In the capture phase: an open dialog closes in its own listener, and would then no longer be seen here.
    window.addEventListener('keydown', onKey, true);
    return () => window.removeEventListener('keydown', onKey, true);
  }, [api, store]);
}
