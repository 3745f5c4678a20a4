import {
  IconAlertOctagon,
  IconAlertTriangle,
  IconArrowBarToDown,
  IconArrowsSplit2,
  IconCalendarExclamation,
  IconCircleArrowUp,
  IconCircleCheck,
  IconCircleCheckFilled,
  IconCircleX,
  IconClockExclamation,
  IconClockX,
  IconCloudDownload,
  IconCloudOff,
  IconDatabaseExclamation,
  IconDatabaseX,
  IconDeviceFloppy,
  IconEqualNot,
  IconFilterCog,
  IconGitCompare,
  IconHelpCircle,
  IconHourglass,
  IconKey,
  IconLock,
  IconPlayerPause,
  IconPlayerStop,
  IconPlayerTrackPrev,
  IconPlugConnectedX,
  IconRefresh,
  IconRotateClockwise,
  IconSearch,
  IconSettings,
  IconShieldLock,
  IconShieldX,
  IconTool,
  IconTrendingDown,
} from '@tabler/icons-react';
import type { StatusCode } from '@tidemark/status/status';

type Icon = typeof IconHelpCircle;

/** The icon of each status. Each has its own shape, because statuses must never differ only in colour. */
const ICONS: Record<StatusCode, Icon> = {
  starting: IconHourglass,
  unknown: IconHelpCircle,
  setup: IconSettings,
  'never-synced': IconCloudDownload,
  checking: IconSearch,
  'first-sync': IconRefresh,
  syncing: IconRefresh,
  'syncing-slow': IconAlertTriangle,
  finishing: IconDeviceFloppy,
  comparing: IconGitCompare,
  repairing: IconTool,
  cancelling: IconPlayerStop,
  cancelled: IconPlayerStop,
  'up-to-date': IconCircleCheckFilled,
  'up-to-date-old': IconCircleCheck,
  stale: IconClockExclamation,
  behind: IconArrowBarToDown,
  'falling-behind': IconTrendingDown,
  'relay-behind': IconArrowsSplit2,
  paused: IconPlayerPause,
  offline: IconCloudOff,
  unreachable: IconPlugConnectedX,
  proxy: IconShieldX,
  busy: IconHourglass,
  'signed-out': IconKey,
  forbidden: IconShieldLock,
  cert: IconShieldX,
  clock: IconClockX,
  upgrade: IconCircleArrowUp,
  resync: IconPlayerTrackPrev,
  'scopes-changed': IconFilterCog,
  altered: IconTool,
  differs: IconEqualNot,
  horizon: IconCalendarExclamation,
  rewound: IconPlayerTrackPrev,
  failed: IconCircleX,
  'disk-full': IconDatabaseExclamation,
  'db-locked': IconLock,
  'db-damaged': IconDatabaseX,
  'agent-restarting': IconRotateClockwise,
  'agent-down': IconAlertOctagon,
};

export function StatusIcon({
  code,
  size,
  className,
}: {
  code: StatusCode;
  size: number;
  className?: string | undefined;
}) {
  const Icon = ICONS[code];
  return <Icon size={size} stroke={1.8} aria-hidden className={className} />;
}
