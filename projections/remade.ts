/**
 * I3, `remade-dirty`: a valid descriptor takes the place of another that may still be cached. Where the
 * output, the memory type or the size differ, the old one has to be made invalid, invalidated and synced
 * first (break-before-make: Arm ARM D8.16; IHI 0070 3.21.1, IDR3.BBML).
 */
import { positions, type Teller, tellChange, tellMissing, tellOwed } from './explain.ts';
import type { Finding } from './finding.ts';
import { isOn, type Remade, type Shadow } from './obligations/shadow.ts';
import { hex, showStructure } from './obligations/tell.ts';

/** Nothing is walked while the SMMU is off: what is then made anew is told when it comes on, unless it is clean. */
export function noteRemade(teller: Teller, findings: Finding[], shadow: Shadow, remade: Remade): void {
  if (isOn(shadow)) findings.push(explainRemade(teller, shadow, remade));
  else shadow.remadeOff.push(remade);
}

/** CR0 was written: what was made anew while SMMUEN was 0, and is still dirty when it is 1. */
export function tellRemadeOff(teller: Teller, findings: Finding[], shadow: Shadow): void {
  if (!isOn(shadow)) return;
  for (const remade of shadow.remadeOff.splice(0))
    if (!remade.obligation.done) findings.push(explainRemade(teller, shadow, remade));
}

/** The finding, at the position of the store that made the new descriptor. */
function explainRemade(teller: Teller, shadow: Shadow, { obligation, why, change }: Remade): Finding {
  const at = positions(teller);
  const [first] = obligation.changes;
  const broken = first.seq !== change.seq;
  return {
    rule: 'I3',
    verdict: 'remade-dirty',
    position: at(change.seq),
    title: `remade-before-clean: ${showStructure(obligation)} at ${hex(obligation.where)}`,
    actor: change.actor,
    consequence: 'isolation',
    // Whoever took the old one away owed the invalidation; the new one only shows that it is missing.
    blame: tellChange(at, first),
    after: broken ? [tellChange(at, change)] : [],
    missing: tellMissing(teller, shadow, obligation, change.seq),
    obligations: [tellOwed(at, shadow, obligation)],
    dirtyEvents: change.seq - first.seq,
    notes: [
      why,
      broken
        ? `${at(first.seq)} made it invalid; until that is clean, both may be cached at once`
        : 'the old descriptor was not made invalid first: both may be cached at once',
    ],
    next: [`backwalk show ${at(change.seq - 1)}`, `backwalk fork fix ${at(change.seq)}`],
    reproduce: `backwalk check ${at(1)}..${at(change.seq)} --explain`,
  };
}
