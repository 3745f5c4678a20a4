// @vitest-environment happy-dom
import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { SettingsFault } from '@tidemark/electron/contract/settings';
import { expect, test } from 'vitest';
import { SyncScreen } from '../sync/sync-screen.tsx';
import { renderApp } from '../testing.tsx';

const fault = (kind: SettingsFault['kind']): SettingsFault => ({
  kind,
  file: '/data/settings.json',
  reason: 'Unexpected end of JSON input',
});
const KINDS: [SettingsFault['kind'], title: string, safe: RegExp][] = [
  ['file-damaged', 'The settings of this PC could not be read', /Data already on this PC is safe/],
  ['fields-invalid', 'Some settings of this PC could not be read', /Data already on this PC is safe/],
  ['preset-refused', 'The settings prepared for this PC were not accepted', /Nothing was changed on this PC/],
  ['key-lost', 'The key of this PC could not be read', /the data on this PC are safe/],
];

test.each(KINDS)(
  'the first-run screen shows %s with its file, its reason and the data that is safe',
  (kind, title, safe) => {
    renderApp(<SyncScreen />, { facts: { configured: false }, settingsFaults: [fault(kind)] });
    expect(screen.getByTestId('first-run')).toBeTruthy();
    const banner = screen.getByTestId(`settings-fault-${kind}`);
    expect(within(banner).getByText(title)).toBeTruthy();
    expect(banner.textContent).toMatch(safe);
    expect(banner.textContent).toContain('/data/settings.json');
    expect(banner.textContent).toContain('Unexpected end of JSON input');
  },
);

test('the Sync screen of a connected PC shows invalid fields', () => {
  renderApp(<SyncScreen />, { settingsFaults: [fault('fields-invalid')] });
  expect(screen.getByTestId('status-card')).toBeTruthy();
  expect(screen.getByTestId('settings-fault-fields-invalid')).toBeTruthy();
});

test('the details can be copied', async () => {
  const { called } = renderApp(<SyncScreen />, {
    facts: { configured: false },
    settingsFaults: [fault('file-damaged')],
  });
  await userEvent.click(screen.getByRole('button', { name: 'Copy details' }));
  expect(called('clipboard.write')).toEqual([
    {
      text: 'Tidemark: The settings of this PC could not be read\nFault: file-damaged\nFile: /data/settings.json\nReason: Unexpected end of JSON input',
    },
  ]);
});

test('shows no banner without a fault', () => {
  renderApp(<SyncScreen />);
  expect(screen.queryByRole('list', { name: 'Problems with the settings' })).toBeNull();
});
