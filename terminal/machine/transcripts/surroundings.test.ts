import { expect, test } from 'vitest';
import { at, failed, PAUSE, PLANS, probed, Rig, start } from './machine-rig.ts';

/** The file's path, its permissions or its disk fail. A person corrects them outside of this program. */

const OPENED = { type: 'opened', cursor: null, start: at(0), lastRunAt: null } as const;

test('a run that fails closes the replica, and the machine opens it again', () => {
  const rig = new Rig();
  rig.send(start());
  rig.on(failed('probe', 'db_unavailable'), 'abort', 'ended failed: db_unavailable', 'close');
  expect(rig.state).toMatchObject({ at: 'closed', fault: { code: 'db_unavailable' } });
  rig.tickWhenDue('open');
  rig.on(OPENED);
  expect(rig.state.at).toBe('idle');
});

test('a person can start a run before that', () => {
  const rig = new Rig();
  rig.send(start());
  rig.send(failed('probe', 'db_read_only'));
  rig.on(start(), 'open');
  rig.on(OPENED, 'began now manual', 'probe');
});

test('a failure to record something closes the replica of a machine at rest', () => {
  const rig = new Rig();
  rig.on(failed('record', 'db_unavailable'), 'close');
  const other = new Rig();
  other.on(failed('record', 'disk_full'));
  expect(other.state.at).toBe('idle');
});

test('a machine that follows the relay waits longer after each failure, up to 5 minutes', () => {
  const rig = new Rig({ watch: true });
  const waits: number[] = [];
  for (let n = 1; n <= 10; n++) {
    rig.on(failed('poll', 'db_unavailable'), 'began now watch', 'abort', 'ended failed: db_unavailable', 'close');
    waits.push(Math.round(rig.waitMs / 1000));
    rig.tickWhenDue('open');
    rig.on(OPENED);
    rig.tickWhenDue('poll');
  }
  expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
});

test('the machine tries again to open a file, even during a pause', () => {
  const rig = new Rig();
  rig.send(start('recopy'));
  const waits: number[] = [];
  for (let n = 1; n <= 4; n++) {
    rig.on(failed('open', 'db_unavailable'));
    waits.push(Math.round(rig.waitMs / 1000));
    if (n === 2) rig.on(PAUSE);
    rig.tickWhenDue('open');
  }
  expect(waits).toEqual([2, 4, 8, 16]);
  rig.on(OPENED);
  rig.on(probed(5, PLANS.none));
});
