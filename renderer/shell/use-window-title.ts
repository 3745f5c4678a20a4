import { FORMAT } from '@tidemark/status/format';
import { useEffect } from 'react';
import { useApp } from '../state/context.tsx';

/** Updates the window's title: `● 1,284 waiting — Tidemark`. */
export function useWindowTitle(): void {
  const title = useApp(({ app }) => {
    if (!app) return 'Tidemark';
    const { status } = app;
    const waiting = app.facts.waiting?.changes ?? 0;
    if (status.severity === 'error' || status.progress) return `${status.short} — Tidemark`;
    return waiting > 0 ? `● ${FORMAT.count(waiting)} waiting — Tidemark` : 'Tidemark';
  });
  useEffect(() => {
    document.title = title;
  }, [title]);
}
