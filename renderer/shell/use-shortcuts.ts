import { SCREENS } from '@tidemark/electron/contract/screens';
import { matchesAccelerator, SHORTCUTS } from '@tidemark/electron/contract/shortcuts';
import { useEffect } from 'react';
import { useTidemark } from '../state/context.tsx';
import { makeActions } from '../state/use-actions.ts';

const isTextField = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
/** Reports whether an open dialog or menu uses Escape to close. */
const usesEscape = () => document.querySelector('[role="dialog"], [aria-haspopup][aria-expanded="true"]') !== null;

/**
 * Handles the app's shortcuts in the page. The menu has the same accelerators, so this hook keeps each key that it
 * handles from the menu. Otherwise the action would run twice.
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
    // Listen in the capture phase: an open dialog closes in its own listener, and this hook would then miss it.
    window.addEventListener('keydown', onKey, true);
    return () => window.removeEventListener('keydown', onKey, true);
  }, [api, store]);
}
