import { useEffect } from 'react';
import { useApp } from '../state/context.tsx';

/** Updates the window's title: `● 1,284 waiting — Tidemark`. */
export function useWindowTitle(): void {
  const title = useApp(({ app }) => {
    if (!app) return 'Tidemark';
    const { status } = app;
    const { changes, text } = status.waiting;
    if (status.severity === 'error' || status.progress) return `${status.short} — Tidemark`;
    return changes !== null && changes > 0 ? `● ${text} waiting — Tidemark` : 'Tidemark';
  });
  useEffect(() => {
    document.title = title;
  }, [title]);
}
