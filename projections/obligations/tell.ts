/** Obligations, changes and entries in words. */
import type { EntryOf } from '../../core/event.ts';
import { showAttributes } from '../../core/smmu/attributes.ts';
import { type Commands, isUnderWay } from './commands.ts';
import { type Change, isTlb, type Obligation, type Target } from './obligation.ts';

export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/** `4K`, `2M`, `1G`. */
export function showSize(sizeLog2: number): string {
  const units = ['', 'K', 'M', 'G', 'T', 'P'];
  const unit = Math.min(Math.floor(sizeLog2 / 10), units.length - 1);
  return `${2 ** (sizeLog2 - unit * 10)}${units[unit]}`;
}

/** `TLB(asid 0x1, vmid 0x0, va 0xfffff000/4K)`, `STE(sid 0x10)`. */
export function showOwes(obligation: Obligation): string {
  const [target] = obligation.targets;
  if (!isTlb(target)) return showConfigTarget(target);
  const context = target.stage === 2 ? 'S2' : target.global ? 'global' : `asid ${hex(target.asid)}`;
  const tags = `${context}, vmid ${hex(target.vmid)}`;
  const regime = target.regime === 'EL1' ? '' : `${target.regime}, `;
  if (obligation.kind === 'tags') return `TLB(${regime}${tags}, all addresses)`;
  const what = target.leaf ? 'TLB' : 'TLB and walk cache';
  return `${what}(${regime}${tags}, ${target.stage === 2 ? 'ipa' : 'va'} ${hex(target.va)}/${showSize(target.sizeLog2)})`;
}

function showConfigTarget(target: Exclude<Target, { regime: unknown }>): string {
  const { cache, streamId, substreamId, span } = target;
  if (cache === 'ste') return `STE(sid ${hex(streamId)})`;
  if (cache === 'l1std') return `L1STD(sid ${hex(streamId)}-${hex(streamId + span - 1)})`;
  if (cache === 'cd') return `CD(sid ${hex(streamId)}, ssid ${hex(substreamId)})`;
  return `L1CD(sid ${hex(streamId)}, ssid ${hex(substreamId)}-${hex(substreamId + span - 1)})`;
}

/** `store [0x845002800] 0x0060000881234f43 -> 0x0`, `smmu0.STRTAB_BASE 0x10000 -> 0x60000`. */
export function showChange({ pa, register, before, after }: Change): string {
  if (register !== undefined) return `${register} ${hex(before)} -> ${hex(after)}`;
  return `store [${hex(pa)}] ${hex(before)} -> ${hex(after)}`;
}

/** How far the obligation is on its way to being discharged. */
export function stateOf(
  commands: Commands,
  obligation: Obligation,
): 'owed' | 'queued' | 'performed, no CMD_SYNC' | 'discharged' {
  if (obligation.done) return 'discharged';
  if (obligation.covered !== undefined) return 'performed, no CMD_SYNC';
  return isUnderWay(commands, obligation) ? 'queued' : 'owed';
}

/** `{S1 asid=0x12 vmid=0x7 va=0x40100000/4K -> pa=0x881234000 RW}`. */
export function showTlbEntry(entry: EntryOf<'tlb.filled'>): string {
  const { asid, vmid, va, sizeLog2, pa, attributes, global, leaf } = entry;
  const tag = global ? 'global' : `asid=${hex(asid)}`;
  const rights = leaf ? showAttributes(attributes) : 'table';
  return `{S${entry.stage} ${tag} vmid=${hex(vmid)} va=${hex(va)}/${showSize(sizeLog2)} -> pa=${hex(pa)} ${rights}}`;
}

/** The structure by the name a reader looks for. */
export function showStructure(obligation: Obligation): string {
  const [target] = obligation.targets;
  const second = obligation.stage2 !== undefined || (isTlb(target) && target.stage === 2);
  const stage = second ? 'stage 2 ' : '';
  if (obligation.structure === 'leaf') return `${stage}leaf descriptor`;
  if (obligation.structure === 'table') return `${stage}table descriptor`;
  return obligation.structure;
}
