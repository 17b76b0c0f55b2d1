/** I9, `protocol`: a CMD_ATC_INV to a function that was reset and cannot answer it (IHI 0070 3.9.1.4, 3.9.2). */
import { positions, type Teller } from './explain.ts';
import type { Finding } from './finding.ts';
import { isWholeAtc } from './obligations/atc-scope.ts';
import { endpointOf } from './obligations/atcs.ts';
import { showCommand } from './obligations/nearest.ts';
import type { Invalidation } from './obligations/obligation.ts';
import type { Shadow } from './obligations/shadow.ts';

/** A CMD_ATC_INV that a function in reset cannot do; taking leave of a function (all of it) is no harm (3.9.2). */
export function judgeUnanswered(
  shadow: Shadow,
  teller: Teller,
  command: Invalidation | undefined,
  name: string,
  seq: number,
): Finding | undefined {
  if (command?.atc === undefined || command.answered !== 0) return undefined;
  if (!endpointOf(shadow.atcs, name).inReset) return undefined;
  if (command.error === '' && isWholeAtc(command.atc)) return undefined;
  const at = positions(teller);
  const what = showCommand(command);
  return {
    rule: 'I9',
    verdict: 'protocol',
    position: at(seq),
    title: `atc-invalidated-in-reset: ${what} to ${name}`,
    actor: command.actor,
    consequence: 'availability',
    blame: { position: at(command.fetched), actor: command.actor, what },
    after: [],
    missing: {
      needed: 'before the reset: ATS off at the function, CMD_ATC_INV of all, CMD_SYNC, STE.EATS=0',
      commands: [],
      nearest: { position: null, why: `${name} is in reset or has ATS off: it cannot do what it is asked` },
    },
    obligations: [],
    dirtyEvents: 0,
    notes: ['what the function holds after its reset is not known to the SMMU'],
    next: [`backwalk show ${at(seq)} ${name}`],
    reproduce: `backwalk check ${at(1)}..${at(seq)} --explain`,
  };
}
