// biome-ignore-all lint/a11y/useSemanticElements: a group of text elements is not a fieldset
// biome-ignore-all lint/a11y/noNoninteractiveTabindex: the keyboard must reach the tooltips, which hold absolute values
import { Tooltip } from '@mantine/core';
import {
  IconAlertTriangle,
  IconArrowDown,
  IconBuilding,
  IconCheck,
  IconDeviceDesktop,
  IconHelpCircle,
  IconLoader2,
  IconServer2,
  IconUnlink,
} from '@tabler/icons-react';
import { FORMAT } from '@tidemark/status/format';
import type { Hop } from '@tidemark/status/status';
import type { ReactNode } from 'react';
import { useFacts, useStatus } from '../state/context.tsx';
import classes from './pipeline-strip.module.css';

const HOP_ICONS = {
  ok: IconCheck,
  busy: IconLoader2,
  info: IconArrowDown,
  warn: IconAlertTriangle,
  error: IconAlertTriangle,
  unknown: IconHelpCircle,
};

/** Shows the path of the data from head office through the server to this PC, and the hop at which it is blocked. */
export function PipelineStrip() {
  const facts = useFacts();
  const { way } = useStatus();
  const { names, probe, replica } = facts;
  const head = probe?.status.head ?? null;
  return (
    <section className={`card ${classes.strip}`} aria-label="From head office to this PC" data-testid="pipeline">
      <div className={classes.way}>
        <Node
          icon={<IconBuilding size={20} stroke={1.6} aria-hidden />}
          name={names.central || 'Central database'}
          sub="Head office"
          more="The database at head office"
        />
        <Link hop={way.source} from={names.central || 'Central database'} to="the server" />
        <Node
          icon={<IconServer2 size={20} stroke={1.6} aria-hidden />}
          name={names.relay || 'Sync server'}
          sub={head ? `Position ${FORMAT.count(head.seq)}` : 'Position unknown'}
          more={
            probe
              ? `${probe.status.relay.name}, version ${probe.status.relay.version}${head ? `. Last change at head office: ${FORMAT.full(head.committedAt)}` : ''}`
              : 'The server has not answered yet'
          }
        />
        <Link hop={way.own} from="the server" to="this PC" />
        <Node
          icon={<IconDeviceDesktop size={20} stroke={1.6} aria-hidden />}
          name={names.terminal || 'This PC'}
          sub={replica.cursor ? `Position ${FORMAT.count(replica.cursor.seq)}` : 'No data yet'}
          more={
            replica.committedAt
              ? `Newest change: ${FORMAT.full(replica.committedAt)}. ${FORMAT.counted(replica.rows, 'row')} in ${FORMAT.counted(replica.tables, 'table')}`
              : 'No data yet'
          }
        />
      </div>
    </section>
  );
}

function Node({ icon, name, sub, more }: { icon: ReactNode; name: string; sub: string; more: string }) {
  return (
    <Tooltip label={more}>
      <div className={classes.node} role="group" tabIndex={0} aria-label={`${name}: ${sub}`}>
        <span className={classes.nodeIcon}>{icon}</span>
        <span className={classes.nodeWords}>
          <span className={classes.nodeName}>{name}</span>
          <span className={`${classes.nodeSub} num`}>{sub}</span>
        </span>
      </div>
    </Tooltip>
  );
}

function Link({ hop, from, to }: { hop: Hop; from: string; to: string }) {
  const Icon = hop.broken ? IconUnlink : HOP_ICONS[hop.state];
  return (
    <Tooltip label={hop.more}>
      <div
        className={classes.link}
        data-severity={hop.state}
        data-broken={hop.broken || undefined}
        role="group"
        tabIndex={0}
        aria-label={`From ${from} to ${to}: ${hop.text}`}
      >
        <span className={classes.wire} />
        <span className={`${classes.pill} num`}>
          <Icon size={14} stroke={2.2} aria-hidden className={hop.state === 'busy' ? classes.turning : undefined} />
          {hop.text}
        </span>
        <span className={classes.wire} data-end />
      </div>
    </Tooltip>
  );
}
