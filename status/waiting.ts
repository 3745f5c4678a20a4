import type { Reading } from './reading.ts';
import { backlogOf, sizeOf } from './states/backlog.ts';
import { dots } from './states/wording.ts';
import type { Status } from './status.ts';

/**
 * The number of waiting changes, as every screen shows it, so that no two places disagree.
 *
 * A number above 0 stays true as a lower bound, so it is shown with the time of its count. 0 is only shown while the
 * relay's last answer holds; afterwards the number is unknown.
 */
export function waitingOf(reading: Reading): Status['waiting'] {
  const { facts, behind, waiting, atHead, answerHolds, nothingWaits, answeredAt, format, now } = reading;
  if (facts.replica.cursor === null) return withoutData(reading);
  const counted = answeredAt === null ? null : format.at(answeredAt, now);
  if (behind) {
    const { text } = backlogOf(reading);
    const transactions = facts.waiting?.transactions ?? 0;
    const changes = waiting !== null && waiting > 0 ? waiting : null;
    return {
      changes,
      text: changes === null ? text : format.count(changes),
      detail:
        dots(
          answerHolds || counted === null ? null : counted,
          changes === null || transactions === 0 ? null : `in ${format.counted(transactions, 'transaction')}`,
          sizeOf(reading),
        ) || 'Not counted yet',
    };
  }
  if (nothingWaits) return { changes: 0, text: '0', detail: 'Nothing waiting' };
  return unknown(atHead && counted !== null ? `0 ${counted}` : whyUnknown(reading));
}

const unknown = (detail: string): Status['waiting'] => ({ changes: null, text: 'Unknown', detail });

/** `—` means that there is no number yet. Before the replica is open, that is not known either. */
function withoutData({ facts: { replica, agent, phase } }: Reading): Status['waiting'] {
  if (replica.fault !== null) return unknown('The data here cannot be read');
  if (agent.state !== 'alive' || phase.kind === 'starting') return unknown('Not known yet');
  return { changes: null, text: '—', detail: 'Nothing synced yet' };
}

function whyUnknown(reading: Reading): string {
  const { plan, answeredAt } = reading;
  if (answeredAt === null) return 'Not checked yet';
  if (plan?.by === 'snapshot') return dots('A fresh copy is needed', sizeOf(reading));
  if (plan?.by === 'difference') return dots('The data selection changed', sizeOf(reading));
  return 'Not known until the next check';
}
