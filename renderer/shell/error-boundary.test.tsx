// @vitest-environment happy-dom
import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { expect, onTestFinished, test, vi } from 'vitest';
import { renderApp } from '../testing.tsx';
import { ErrorBoundary } from './error-boundary.tsx';

let broken = true;
function Screen() {
  if (broken) throw new Error('no such thing');
  return <p>fine</p>;
}

test('replaces a failed screen with a message that sync continues and a button to try again', async () => {
  // React logs every caught error to the console, which would clutter the test's output.
  const silent = vi.spyOn(console, 'error').mockImplementation(() => {});
  onTestFinished(() => silent.mockRestore());
  renderApp(
    <ErrorBoundary>
      <Screen />
    </ErrorBoundary>,
  );
  expect(screen.getByRole('alert').textContent).toContain('Sync continues in the background');
  expect(screen.getByText(/no such thing/)).toBeTruthy();
  broken = false;
  await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
  expect(screen.getByText('fine')).toBeTruthy();
});
