import { FirstRun } from '../first-run/first-run.tsx';
import { SettingsFaults } from '../settings/settings-faults.tsx';
import { useApp } from '../state/context.tsx';
import { AttentionList } from './attention-list.tsx';
import { LagChart } from './lag-chart.tsx';
import { PipelineStrip } from './pipeline-strip.tsx';
import { StatusCard } from './status-card.tsx';
import classes from './sync-screen.module.css';
import { TableList } from './table-list.tsx';
import { Tiles } from './tiles.tsx';

/**
 * The Sync screen. It shows the status of this PC and its next step, or the first-run steps while the PC is not set up.
 */
export function SyncScreen() {
  const setup = useApp((state) => state.app?.status.code === 'setup');
  if (setup) return <FirstRun />;
  return (
    <div className={classes.screen}>
      <SettingsFaults />
      <StatusCard />
      <AttentionList />
      <PipelineStrip />
      <Tiles />
      <div className={classes.columns}>
        <LagChart />
        <TableList />
      </div>
    </div>
  );
}
