import { IconHistory, IconRefresh, IconSettings, IconTable } from '@tabler/icons-react';
import type { ScreenId } from '@tidemark/electron/contract/screens';
import { type ComponentType, lazy } from 'react';
import { ActivityScreen } from '../activity/activity-screen.tsx';
import { SettingsScreen } from '../settings/settings-screen.tsx';
import { SyncScreen } from '../sync/sync-screen.tsx';

/** The grid is the largest part of the window's code, so it loads with the first use of its screen. */
const DataScreen = lazy(async () => ({ default: (await import('../data/data-screen.tsx')).DataScreen }));

/** The component of each screen in the table of screens, and its icon on the rail. */
export const SCREEN_VIEWS: Record<ScreenId, { Icon: typeof IconRefresh; View: ComponentType }> = {
  sync: { Icon: IconRefresh, View: SyncScreen },
  activity: { Icon: IconHistory, View: ActivityScreen },
  data: { Icon: IconTable, View: DataScreen },
  settings: { Icon: IconSettings, View: SettingsScreen },
};
