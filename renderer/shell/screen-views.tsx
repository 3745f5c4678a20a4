import { IconHistory, IconRefresh, IconSettings } from '@tabler/icons-react';
import type { ScreenId } from '@tidemark/electron/contract/screens';
import type { ComponentType } from 'react';
import { ActivityScreen } from '../activity/activity-screen.tsx';
import { SettingsScreen } from '../settings/settings-screen.tsx';
import { SyncScreen } from '../sync/sync-screen.tsx';

/** The component of each screen in the table of screens, and its icon on the rail. */
export const SCREEN_VIEWS: Record<ScreenId, { Icon: typeof IconRefresh; View: ComponentType }> = {
  sync: { Icon: IconRefresh, View: SyncScreen },
  activity: { Icon: IconHistory, View: ActivityScreen },
  settings: { Icon: IconSettings, View: SettingsScreen },
};
