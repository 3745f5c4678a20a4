import { useEffect } from 'react';
import type { Screen } from '../state/app-store.ts';
import { useTidemark } from '../state/context.tsx';
import { makeActions } from '../state/use-actions.ts';

const SCREENS: Screen[] = ['sync', 'activity', 'settings'];

const typing = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
/** Something is open that takes Escape for itself. */
const covered = () => document.querySelector('[role="dialog"], [aria-haspopup][aria-expanded="true"]') !== null;

/** The window's keys. Each that we take is kept from the menu, so that nothing runs twice. */
export function useShortcuts(): void {
  const { api, store } = useTidemark();
  useEffect(() => {
    const actions = makeActions(api, store);
    const onKey = (event: KeyboardEvent) => {
      const { app, show, open, dialog } = store.getState();
      const running = app !== null && (app.facts.phase.kind === 'syncing' || app.facts.phase.kind === 'checking');
      const free = app?.facts.configured && app.facts.phase.kind === 'idle';
      const plain = !event.altKey && !event.metaKey;
      const take = (act: () => void) => {
        event.preventDefault();
        act();
      };
      if (event.key === 'F5' && plain && !event.ctrlKey)
        return take(() => free && dialog === null && actions.start(event.shiftKey ? 'check' : 'now'));
      if (event.key === 'F5' && plain && !event.shiftKey) return take(() => free && dialog === null && open('verify'));
      if (event.key === 'F1' || (event.key === '?' && plain && !event.ctrlKey && !typing(event.target)))
        return take(() => open('shortcuts'));
      if (event.key === 'Escape' && running && !event.defaultPrevented && !covered() && !typing(event.target))
        return take(actions.cancel);
      if (event.ctrlKey && plain && event.key === ',') return take(() => show('settings'));
      const screen = event.ctrlKey && plain && !event.shiftKey ? SCREENS[Number(event.key) - 1] : undefined;
      if (screen) take(() => show(screen));
    };
    // Before the open dialogs' own listeners, which would close and so hide that they were there.
    window.addEventListener('keydown', onKey, true);
    return () => window.removeEventListener('keydown', onKey, true);
  }, [api, store]);
}
