import '@mantine/core/styles.css';
import '@mantine/charts/styles.css';
import '@mantine/notifications/styles.css';
import './styles.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { makeApi } from './bridge.ts';
import { NoApp } from './shell/no-app.tsx';
import { Root } from './shell/root.tsx';
import { createAppStore, feedStore } from './state/app-store.ts';

/**
 * Starts the page: connects the state to the bridge, then renders. Without the bridge, the page asks the person to
 * start the app.
 */

const element = document.getElementById('root');
if (!element) throw new Error('index.html has no #root');
const root = createRoot(element);

if (window.tidemark) {
  const api = makeApi(window.tidemark);
  const store = createAppStore(() => Date.now());
  feedStore(store, api, () => Date.now());
  root.render(
    <StrictMode>
      <Root api={api} store={store} />
    </StrictMode>,
  );
} else {
  root.render(<NoApp />);
}
