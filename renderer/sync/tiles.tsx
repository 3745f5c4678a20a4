// biome-ignore-all lint/a11y/useSemanticElements: a group of text elements is not a fieldset
import { ActionIcon, Anchor, Text, Tooltip } from '@mantine/core';
import { IconCopy } from '@tabler/icons-react';
import { formatCursor } from '@tidemark/protocol/cursor';
import { FORMAT } from '@tidemark/status/format';
import type { ReactNode } from 'react';
import { changesOf } from '../activity/run-text.ts';
import { verifyOutcome } from '../activity/verify-text.ts';
import { useApp, useFacts, useNow, useStatus } from '../state/context.tsx';
import { useActions } from '../state/use-actions.ts';
import classes from './tiles.module.css';

interface TileProps {
  label: string;
  value: ReactNode;
  sub: ReactNode;
  /** Absolute values for the tooltip. */
  more?: string | undefined;
  id: string;
}

function Tile({ label, value, sub, more, id }: TileProps) {
  const body = (
    <div
      className={`card ${classes.tile}`}
      data-testid={`tile-${id}`}
      role="group"
      aria-label={label}
      {...(more === undefined ? {} : { tabIndex: 0 })}
    >
      <Text size="xs" c="dimmed" className={classes.label}>
        {label}
      </Text>
      <div className={`${classes.value} num`}>{value}</div>
      <div className={`${classes.sub} num`}>{sub}</div>
    </div>
  );
  return more === undefined ? body : <Tooltip label={more}>{body}</Tooltip>;
}

/**
 * Shows the five most important numbers. `0` means none, `Unknown` that the number cannot be determined, and `—` that
 * there is none yet.
 */
export function Tiles() {
  return (
    <div className={classes.tiles}>
      <Waiting />
      <AsOf />
      <LastSync />
      <Position />
      <NextCheck />
    </div>
  );
}

function Waiting() {
  const { waiting } = useStatus();
  const oldestAt = useFacts().waiting?.oldestAt ?? null;
  const more = waiting.changes && oldestAt !== null ? `The oldest is from ${FORMAT.full(oldestAt)}` : undefined;
  return <Tile id="waiting" label="Changes waiting" value={waiting.text} sub={waiting.detail} more={more} />;
}

function AsOf() {
  const { dataAsOf: at, waiting } = useStatus();
  const { committedAt } = useFacts().replica;
  const now = useNow();
  if (at === null)
    return <Tile id="as-of" label="Data as of" value={waiting.text === '—' ? '—' : 'Unknown'} sub={waiting.detail} />;
  return (
    <Tile
      id="as-of"
      label="Data as of"
      value={FORMAT.moment(at, now)}
      sub={FORMAT.ago(at, now)}
      more={committedAt === null ? undefined : `Newest change on this PC: ${FORMAT.full(committedAt)}`}
    />
  );
}

function LastSync() {
  const run = useFacts().lastSuccess;
  const now = useNow();
  if (run === null) return <Tile id="last-sync" label="Last successful sync" value="—" sub="None yet" />;
  const at = run.endedAt;
  const durationMs = Math.max(0, at - run.startedAt);
  const received =
    run.outcome === 'nothing-new'
      ? 'Nothing new'
      : `${FORMAT.counted(changesOf(run), 'change')} in ${durationMs < 1000 ? 'under 1 s' : FORMAT.span(durationMs)}`;
  const verified = verifyOutcome(run);
  const sub = verified === null ? received : `Verified: ${verified.toLowerCase()}`;
  return (
    <Tile id="last-sync" label="Last successful sync" value={FORMAT.moment(at, now)} sub={sub} more={FORMAT.full(at)} />
  );
}

function Position() {
  const { replica, probe } = useFacts();
  const { copy } = useActions();
  const { cursor } = replica;
  const status = probe?.status ?? null;
  const head = status?.head ?? null;
  const sub =
    head === null
      ? 'Head unknown'
      : `head ${FORMAT.count(head.seq)} · oldest kept ${FORMAT.count(status?.horizon ?? 0)}`;
  if (cursor === null) return <Tile id="position" label="Position" value="—" sub={sub} />;
  const text = formatCursor(cursor);
  const value = (
    <span className={classes.withButton}>
      {FORMAT.count(cursor.seq)}
      <Tooltip label={`Copy ${text}`}>
        <ActionIcon size={24} aria-label="Copy position" onClick={() => copy(text, 'Position')}>
          <IconCopy size={15} aria-hidden />
        </ActionIcon>
      </Tooltip>
    </span>
  );
  return <Tile id="position" label="Position" value={value} sub={sub} />;
}

function NextCheck() {
  const { schedule, paused } = useFacts();
  const automatic = useApp((state) => state.app?.settings.automatic ?? 'sync');
  const show = useApp((state) => state.show);
  const now = useNow();
  const label = automatic === 'sync' ? 'Next automatic sync' : 'Next automatic check';
  if (schedule.everyMs === null) {
    const turnOn = (
      <Anchor component="button" size="xs" onClick={() => show('settings')}>
        Turn on
      </Anchor>
    );
    return <Tile id="next" label={label} value="Off" sub={turnOn} />;
  }
  const every = `every ${FORMAT.words(schedule.everyMs)}`;
  if (paused !== null)
    return (
      <Tile
        id="next"
        label={label}
        value="Paused"
        sub={paused.until === null ? 'until you resume' : `until ${FORMAT.moment(paused.until, now)}`}
      />
    );
  if (schedule.nextAt === null) return <Tile id="next" label={label} value="—" sub={every} />;
  const at = schedule.nextAt;
  return (
    <Tile
      id="next"
      label={label}
      value={at <= now ? 'Now' : `in ${FORMAT.span(at - now)}`}
      sub={every}
      more={FORMAT.full(at)}
    />
  );
}
