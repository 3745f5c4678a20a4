import { Epoch, seq } from '@tidemark/protocol/cursor';
import { describe, expect, test } from 'vitest';
import {
  applied,
  at,
  bySnapshot,
  cursor,
  failed,
  fetched,
  installed,
  manifest,
  PLANS,
  polled,
  probed,
  Rig,
  start,
  status,
} from './machine-rig.ts';

describe('a pull', () => {
  // A busy master moves the head while pages arrive. The first plan fixes the target, so the run ends.
  test('fetches one page ahead and ends at its target', () => {
    const rig = new Rig();
    rig.on(start(), 'began now manual', 'probe');
    rig.on(probed(8, PLANS.pages), 'fetch 5');
    rig.on(fetched(at(5), at(7)), 'fetch 7', 'apply 5 to 7');
    rig.on(applied(7));
    rig.on(fetched(at(7), at(8)), 'apply 7 to 8');
    rig.on(applied(8), 'ended done');
    expect(rig.state).toMatchObject({ at: 'idle', cursor: cursor(8) });
  });

  // The next page may arrive, or fail, while the machine still writes the page before it.
  test('applies a page only after the page before it', () => {
    const rig = new Rig();
    rig.send(start());
    rig.send(probed(9, PLANS.pages));
    rig.on(fetched(at(5), at(7)), 'fetch 7', 'apply 5 to 7');
    rig.on(fetched(at(7), at(8)));
    rig.on(applied(7), 'fetch 8', 'apply 7 to 8');
    rig.on(failed('fetch', 'relay_unreachable'));
    rig.on(applied(8), 'abort', 'attempt-failed');
    expect(rig.state).toMatchObject({ at: 'waiting-to-retry', cursor: cursor(8) });
  });

  test('ends after one transaction in mode "one"', () => {
    const rig = new Rig();
    rig.send(start('one'));
    rig.on(probed(9, PLANS.pages), 'fetch 5');
    expect(rig.state).toMatchObject({ at: 'pulling', plan: { target: 6 } });
  });

  test('fails in mode "up-to" when the chosen transaction does not exist', () => {
    const rig = new Rig();
    rig.send(start('up-to', 20));
    rig.on(probed(9, PLANS.pages), 'abort', 'ended failed: target_invalid');
  });

  // A faulty relay could send pages that do not move the replica, and the run would request the same page forever.
  test('fails on a page that does not move the replica', () => {
    const rig = new Rig({ giveUpAfterMs: 0 });
    rig.send(start());
    rig.send(probed(8, PLANS.pages));
    rig.send(fetched(at(5), at(5)));
    rig.on(applied(5), 'abort', 'ended failed: page_out_of_order');
  });

  // A cancel arrives while the replica writes a page. The page is kept, and the run ends after the write.
  test('ends after a cancel when all work has stopped, and keeps written pages', () => {
    const rig = new Rig();
    rig.send(start());
    rig.send(probed(8, PLANS.pages));
    rig.send(fetched(at(5), at(7)));
    rig.on({ type: 'cancel' }, 'abort');
    rig.on(applied(7));
    rig.on({ type: 'aborted' }, 'ended cancelled');
    expect(rig.state).toMatchObject({ at: 'idle', cursor: cursor(7) });
  });

  test('installs a snapshot into an empty replica, then pulls to the fixed target', () => {
    const rig = new Rig({}, null);
    rig.send(start());
    rig.on(probed(8, bySnapshot('first')), 'manifest');
    rig.on(manifest(6), 'download');
    rig.on({ type: 'downloaded' }, 'install');
    rig.on(installed(6), 'fetch 6');
    expect(rig.state).toMatchObject({ at: 'pulling', plan: { target: 8 } });
  });
});

describe('W5: relays of different epochs behind one address', () => {
  const OTHER = Epoch.parse('bbbbbbbb');
  const changed = probed(8, bySnapshot('epoch_changed'));
  /** Installs a snapshot of another epoch than the status had, so that the run has to ask for a plan again. */
  function takeCopy(rig: Rig): void {
    rig.send(manifest(6));
    rig.send({ type: 'downloaded' });
    rig.on({ ...installed(6), cursor: { epoch: OTHER, seq: seq(6) } }, 'abort', 'probe');
  }

  test('a run takes one fresh copy, and fails when the epoch changes again', () => {
    const rig = new Rig({ freshCopy: 'take' });
    rig.send(start());
    rig.on(changed, 'manifest');
    takeCopy(rig);
    rig.on(changed, 'abort', 'ended failed: epoch_unstable');
    expect(rig.state).toMatchObject({ at: 'idle', cursor: { epoch: OTHER } });
  });

  test('a terminal that follows the relay waits longer before each further copy', () => {
    const rig = new Rig({ freshCopy: 'take', watch: true });
    const waits: number[] = [];
    for (let n = 0; n < 10; n++) {
      rig.on(polled(changed.status), 'began now watch', 'manifest');
      takeCopy(rig);
      rig.on(changed, 'abort', 'ended failed: epoch_unstable');
      waits.push(Math.round(rig.waitMs / 1000));
      rig.tickWhenDue('poll');
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  });

  test('a terminal that follows the relay waits longer even when each copy fits the relay that was asked', () => {
    const rig = new Rig({ freshCopy: 'take', watch: true });
    const waits: number[] = [];
    for (let n = 0; n < 3; n++) {
      rig.send(polled(changed.status));
      rig.send(manifest(8));
      rig.send({ type: 'downloaded' });
      rig.on(installed(8), 'ended done');
      waits.push(Math.round(rig.waitMs / 1000));
      rig.tickWhenDue('poll');
    }
    expect(waits).toEqual([2, 4, 8]);
  });

  /** One poll finds another epoch, and the run takes a copy. */
  function pollAndCopy(rig: Rig): void {
    rig.send(polled(changed.status));
    rig.send(manifest(8));
    rig.send({ type: 'downloaded' });
    rig.on(installed(8), 'ended done');
  }

  // The relay that was copied last holds the next polls, as a healthy relay does, until the other one answers.
  test('polls that one of the relays holds do not shorten the waits between copies', () => {
    const rig = new Rig({ freshCopy: 'take', watch: true });
    const waits: number[] = [];
    for (let n = 0; n < 10; n++) {
      pollAndCopy(rig);
      waits.push(Math.round(rig.waitMs / 1000));
      rig.tickWhenDue('poll');
      for (let held = 0; held < 4; held++) {
        rig.now += 30_000;
        rig.on(polled(status(8, PLANS.none), 30_000), 'poll');
      }
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  });

  test('pages of one of the relays do not shorten the waits between copies', () => {
    const rig = new Rig({ freshCopy: 'take', watch: true });
    const waits: number[] = [];
    for (let n = 0; n < 10; n++) {
      pollAndCopy(rig);
      waits.push(Math.round(rig.waitMs / 1000));
      rig.tickWhenDue('poll');
      rig.on(polled(status(9, PLANS.pages)), 'began now watch', 'fetch 8');
      rig.send(fetched(at(8), at(9)));
      rig.on(applied(9), 'ended done', 'poll');
    }
    expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  });

  test('the waits between copies are short again after an hour without one, but not because the clock is set', () => {
    const rig = new Rig({ freshCopy: 'take', watch: true });
    const wait = () => Math.round(rig.waitMs / 1000);
    pollAndCopy(rig);
    rig.tickWhenDue('poll');
    rig.now += 7_200_000;
    rig.clockSetByMs += 7_200_000;
    pollAndCopy(rig);
    expect(wait()).toBe(4);
    rig.tickWhenDue('poll');
    for (let held = 0; held < 120; held++) {
      rig.now += 30_000;
      rig.on(polled(status(8, PLANS.none), 30_000), 'poll');
    }
    pollAndCopy(rig);
    expect(wait()).toBe(2);
  });

  test('a run that took a fresh copy pulls the backlog by pages, even when another copy would be cheaper', () => {
    const rig = new Rig({ freshCopy: 'take' });
    rig.send(start());
    rig.send(changed);
    rig.send(manifest(6));
    rig.send({ type: 'downloaded' });
    rig.on(installed(6), 'fetch 6');
    rig.send(failed('fetch', 'relay_unreachable'));
    rig.tickWhenDue('abort', 'probe');
    rig.on(probed(9, bySnapshot('cheaper')), 'fetch 6 fresh');
  });
});

describe('waits between attempts', () => {
  test('grow from 2 s to 5 min and start small again after progress', () => {
    const rig = new Rig();
    rig.send(start());
    const waits: number[] = [];
    for (let n = 0; n < 12; n++) {
      rig.on(failed('probe', 'relay_unreachable'), 'abort', 'attempt-failed');
      waits.push(Math.round(rig.waitMs / 1000));
      rig.tickWhenDue('abort', 'probe');
    }
    expect(waits.slice(0, 4)).toEqual([2, 4, 8, 16]);
    expect(waits.at(-1)).toBe(300);
    rig.on(probed(8, PLANS.pages), 'fetch 5 fresh');
    rig.send(fetched(at(5), at(6)));
    rig.send(applied(6));
    rig.send(failed('fetch', 'relay_unreachable'));
    expect(Math.round(rig.waitMs / 1000)).toBe(2);
  });

  test('are at least as long as the relay asks', () => {
    const rig = new Rig();
    rig.random = 0;
    rig.send(start());
    rig.send(failed('probe', 'relay_busy', 45_000));
    expect(rig.waitMs).toBe(45_000);
  });

  test('do not occur after a fault that a retry cannot help', () => {
    const rig = new Rig();
    rig.send(start());
    rig.on(failed('probe', 'token_invalid'), 'abort', 'ended failed: token_invalid');
    expect(rig.state.at).toBe('idle');
  });

  test('end when the network returns or a person repeats the request', () => {
    for (const event of [{ type: 'online' } as const, start()]) {
      const rig = new Rig();
      rig.send(start());
      rig.send(failed('probe', 'relay_unreachable'));
      rig.on(event, 'abort', 'probe');
    }
  });

  // A person requests something other than the waiting run. The waiting run ends with its last fault, and the new one
  // begins.
  test('end with the run when a person requests something else', () => {
    const rig = new Rig();
    rig.send(start());
    rig.send(failed('probe', 'relay_unreachable'));
    rig.on(start('verify'), 'ended failed: relay_unreachable', 'began verify manual', 'probe');
  });
});
