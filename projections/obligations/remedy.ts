/** The smallest commands that would discharge an obligation, ready to be put into a queue. */
import { type CommandFields, type CommandName, encodeCommand } from '../../core/smmu/command-layout.ts';
import { isTlb, isUpperClean, type Obligation, type TlbTarget } from './obligation.ts';

/** A command by name and fields, and as the two doublewords software would store. */
export interface Needed {
  readonly command: CommandName;
  readonly fields: Readonly<Record<string, number | boolean | string>>;
  readonly words: readonly [lo: string, hi: string];
}

/** The stream and substream that met the stale entry. */
export interface Met {
  readonly streamId: number;
  readonly substreamId?: number | undefined;
}

/**
 * The invalidation that is missing, with its CMD_SYNC; first what must go above it. With `met`, what
 * a level 1 descriptor led that stream to goes with it.
 */
export function remedy(obligation: Obligation, met?: Met): readonly Needed[] {
  const { upper } = obligation;
  const sync = encoded('CMD_SYNC', {});
  if (obligation.stage2 !== undefined) return throughStage2(obligation, obligation.stage2, sync);
  if (upper === undefined || isUpperClean(obligation)) return [invalidation(obligation, false, met), sync];
  // With Leaf=0 one command takes a descriptor and what leads to it.
  if (obligation.kind !== 'tags') return [invalidation(obligation, true, met), sync];
  return [invalidation(upper, false), invalidation(obligation, false), sync];
}

/** Stage 2 by IPA; where both stages may be in one entry, then all of stage 1 of the VMID (4.4.3.1). */
function throughStage2(
  { structure, targets: [target] }: Obligation,
  { vmid: VMID, ipa }: NonNullable<Obligation['stage2']>,
  sync: Needed,
): readonly Needed[] {
  const byIpa = encoded('CMD_TLBI_S2_IPA', { VMID, Address: Number(ipa), Leaf: structure === 'leaf' });
  if (isTlb(target) && target.stage === 2) return [byIpa, sync];
  return [byIpa, sync, encoded('CMD_TLBI_NH_ALL', { VMID }), sync];
}

function invalidation(obligation: Obligation, above: boolean, met?: Met): Needed {
  const [target] = obligation.targets;
  if (isTlb(target)) {
    return obligation.kind === 'tags'
      ? wholeContext(obligation, target)
      : byAddress({ ...target, leaf: target.leaf && !above });
  }
  const { cache, span } = target;
  const StreamID = cache === 'l1std' ? within(target.streamId, span, met?.streamId) : target.streamId;
  const SubstreamID =
    cache === 'l1cd' ? within(target.substreamId, span, met?.substreamId) : target.substreamId;
  if (cache === 'cd' || cache === 'l1cd')
    return encoded('CMD_CFGI_CD', { StreamID, SubstreamID, Leaf: cache === 'cd' && !above });
  return encoded('CMD_CFGI_STE', { StreamID, Leaf: cache === 'ste' && !above });
}

/** `met` where the span holds it, or the first of the span. */
function within(first: number, span: number, met = first): number {
  return met >= first && met < first + span ? met : first;
}

function byAddress({ regime, stage, vmid: VMID, asid: ASID, global, va, leaf: Leaf }: TlbTarget): Needed {
  const Address = Number(va);
  if (stage === 2) return encoded('CMD_TLBI_S2_IPA', { VMID, Address, Leaf });
  if (regime === 'EL2') return encoded('CMD_TLBI_EL2_VA', { Address, Leaf });
  if (regime === 'EL2_E2H') {
    return global
      ? encoded('CMD_TLBI_EL2_VAA', { Address, Leaf })
      : encoded('CMD_TLBI_EL2_VA', { ASID, Address, Leaf });
  }
  if (global) return encoded('CMD_TLBI_NH_VAA', { VMID, Address, Leaf });
  return encoded('CMD_TLBI_NH_VA', { VMID, ASID, Address, Leaf });
}

/** Global entries are not hit by the forms by ASID (4.4.2). */
function wholeContext({ targets }: Obligation, { regime, stage, vmid: VMID, asid: ASID }: TlbTarget): Needed {
  if (stage === 2) return encoded('CMD_TLBI_S12_VMALL', { VMID });
  const globals = targets.some((target) => isTlb(target) && target.global);
  if (regime === 'EL1')
    return globals ? encoded('CMD_TLBI_NH_ALL', { VMID }) : encoded('CMD_TLBI_NH_ASID', { VMID, ASID });
  if (regime === 'EL2_E2H' && !globals) return encoded('CMD_TLBI_EL2_ASID', { ASID });
  return encoded('CMD_TLBI_EL2_ALL', {});
}

/** The command as software would queue it. */
export function encoded<N extends CommandName>(
  command: N,
  fields: Partial<Omit<CommandFields<N>, 'Opcode'>>,
): Needed {
  const words = encodeCommand(command, fields);
  const doubleword = (at: number): string =>
    `0x${((BigInt(words[at + 1] ?? 0) << 32n) | BigInt(words[at] ?? 0)).toString(16)}`;
  const told = Object.entries(fields as Record<string, number | boolean>).map(([name, value]) => [
    name,
    name === 'Address' ? `0x${BigInt(value).toString(16)}` : value,
  ]);
  return {
    command,
    fields: Object.fromEntries(told),
    words: [doubleword(0), doubleword(2)],
  };
}

/** `CMD_TLBI_NH_VA VMID=0 ASID=0x1 Address=0xfffff000 Leaf=1`. */
export function showNeeded({ command, fields }: Pick<Needed, 'command' | 'fields'>): string {
  const parts = Object.entries(fields).map(([name, value]) => `${name}=${showField(value)}`);
  return [command, ...parts].join(' ');
}

function showField(value: number | boolean | string): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (typeof value === 'string') return value;
  return value < 10 ? String(value) : `0x${BigInt(value).toString(16)}`;
}
