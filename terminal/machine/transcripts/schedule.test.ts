import { describe, expect, test } from 'vitest';
import { at, bySnapshot, failed, PAUSE, PLANS, polled, probed, Rig, start, status } from './machine-rig.ts';

const EVERY_MINUTE = { everyMs: 60_000, automatic: 'sync' } as const;

describe('the schedule', () => {
  test('pulls when a run is due', () => {
    const rig = new Rig(EVERY_MINUTE);
    rig.now += 60_000;
    rig.on({ type: 'tick' }, 'began now schedule', 'probe');
  });

  test('does not run during a pause', () => {
    const rig = new Rig(EVERY_MINUTE);
    rig.send(PAUSE);
    rig.now += 600_000;
    rig.on({ type: 'tick' });
  });

  // The first copy may be large, so a person chooses when to download it.
  test('only checks on a PC without data', () => {
    const rig = new Rig(EVERY_MINUTE, null);
    rig.now += 60_000;
    rig.on({ type: 'tick' }, 'began check schedule', 'probe');
  });

  // The relay no longer keeps the history of this replica. A scheduled run may start at night, when nobody can be
  // asked.
  test('downloads a fresh copy without asking, but a manual run only reports that one is needed', () => {
    const gone = probed(8, bySnapshot('epoch_changed'));
    const scheduled = new Rig(EVERY_MINUTE);
    scheduled.now += 60_000;
    scheduled.send({ type: 'tick' });
    scheduled.on(gone, 'manifest');
    const clicked = new Rig();
    clicked.send(start());
    clicked.on(gone, 'abort', 'ended failed: epoch_changed');
  });
});

test('a pause ends the run under way, and resume starts it again', () => {
  const rig = new Rig();
  rig.send(start());
  rig.send(probed(8, PLANS.pages));
  rig.on(PAUSE, 'abort');
  rig.on({ type: 'aborted' }, 'ended cancelled');
  expect(rig.state.at).toBe('idle');
  rig.on({ type: 'resume' }, 'began now manual', 'probe');
});

describe('a fresh copy', () => {
  const OPENED = { type: 'opened', cursor: null, start: at(0), lastRunAt: null } as const;

  // A damaged file cannot store the copy.
  test('starts after the file was closed, checked and opened again', () => {
    const rig = new Rig();
    rig.on(start('recopy'), 'close', 'open checked');
    rig.on(OPENED, 'began recopy manual', 'probe');
    rig.on(probed(8, PLANS.pages), 'manifest');
  });

  test('ends the poll of a machine that follows the relay, and a check', () => {
    const watching = new Rig({ watch: true });
    watching.on(start('recopy'), 'abort', 'close', 'open checked');
    const checking = new Rig();
    checking.send(start('check'));
    checking.on(start('recopy'), 'abort');
    checking.on({ type: 'aborted' }, 'ended cancelled', 'close', 'open checked');
  });

  test('opens a file that could not be opened, with the check', () => {
    const rig = new Rig();
    rig.on(start('recopy'), 'close', 'open checked');
    rig.on(failed('open', 'db_in_use'));
    rig.on(start('recopy'), 'open checked');
    rig.on(OPENED, 'began recopy manual', 'probe');
  });
});

test('a change of feed ends the run, opens the other replica and checks', () => {
  const rig = new Rig();
  rig.send(start());
  rig.on({ type: 'settings', feed: 'changed', connection: 'changed', policy: rig.state.policy }, 'abort');
  rig.on({ type: 'aborted' }, 'ended cancelled', 'close', 'open');
});

describe('W6: a long poll that the relay does not hold', () => {
  const NOTHING = status(5, PLANS.none);

  test('is a fault after eight in a row, and the waits between polls grow to 5 minutes', () => {
    const rig = new Rig({ watch: true });
    const waits: number[] = [];
    for (let n = 1; n <= 10; n++) {
      if (n < 8) rig.on(polled(NOTHING));
      else rig.on(polled(NOTHING, 19_999), 'began now watch', 'abort', 'ended failed: relay_no_progress');
      waits.push(Math.round(rig.waitMs / 1000));
      rig.tickWhenDue('poll');
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  });

  test('is no fault when one of them was held', () => {
    const rig = new Rig({ watch: true });
    for (let n = 0; n < 30; n++) {
      const heldMs = n % 5 === 0 ? 20_000 : 0;
      expect(rig.send(polled(NOTHING, heldMs)).map((effect) => effect.do)).toEqual(n % 5 === 0 ? ['poll'] : []);
      if (n % 5 !== 0) rig.tickWhenDue('poll');
    }
  });
});
