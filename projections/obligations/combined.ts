/**
 * What a change of stage 2 owes where a guest's stage 1 rests on it (IHI 0070 4.4.3.1): entries that hold
 * both stages are found under the guest's addresses, so CMD_TLBI_S2_IPA need not reach them. Which
 * addresses those are, the guest's tables say; the entries that were made through the descriptor stand
 * for them.
 */
import { owe } from './ledger.ts';
import type { Change, Obligation, TlbTarget } from './obligation.ts';
import type { Shadow } from './shadow.ts';

/** Entries of both stages that are owed for one descriptor; more are represented by as many. */
const COMBINED_MAX = 512;

/** Each entry made through the descriptor is owed an invalidation, after that of stage 2. */
export function oweCombined(shadow: Shadow, owed: Obligation, target: TlbTarget, change: Change): void {
  const { fills, ledger } = shadow;
  let count = 0;
  for (const seq of fills.through.get(owed.where) ?? []) {
    const entry = fills.tlb.get(seq)?.entry;
    if (entry === undefined || entry.stage === 2 || entry.seq > change.seq) continue;
    count += 1;
    if (count > COMBINED_MAX) return;
    const own: TlbTarget = { ...entry, cache: entry.leaf ? 'tlb' : 'walk' };
    const { kind, structure, where, output } = owed;
    const stage2 = { vmid: target.vmid, ipa: target.va };
    owe(
      ledger,
      {
        kind,
        structure,
        where,
        targets: [own],
        ...(output === undefined ? {} : { output }),
        upper: owed,
        stage2,
      },
      change,
    );
  }
}
