/**
 * A nested world beside the stage 1 one of `build.ts`: a guest whose memory starts at IPA 0 and stands at
 * `GUEST` in physical memory, stage 2 tables of four levels with 4 KiB pages, and guest tables at the same
 * (now intermediate) addresses as before.
 */
import type { MachineConfig, SmmuConfig } from '../../core/config.ts';
import type { Ste } from '../../core/smmu/ste.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { at, bringUp, cd, machine, map, SID, ste, store, storeWords, tables } from './build.ts';
import { idr } from './tables.ts';

/** Where IPA 0 stands in physical memory. */
export const GUEST = 0x4000_0000;
/** The stage 2 tables: levels 0 to 2, then the level 3 tables of each 2 MiB of IPA. */
export const S2_TABLE = 0x3000_0000;
export const VMID = 3;

/** Stage 2 leaf: Normal write-back, read and write, inner shareable, AF. */
export const S2_RW = 0x7fdn | 2n;
const TABLE = 3n;

/** A machine that has all of stage 2. */
export function nestedMachine(
  overrides: Partial<MachineConfig> = {},
  smmu: Partial<SmmuConfig> = {},
): MachineConfig {
  return machine(overrides, {
    idr: idr('S2P=1 VMID16=1 HTTU=2 XNX=1 FWB=1 RIL=1 BTM=1 ATS=1 PRI=1 MSI=1'),
    ...smmu,
  });
}

/** The STE of a nested stream. */
export function nestedSte(fields: Partial<Ste> = {}): Uint32Array {
  return ste({ Config: 'NESTED', ...stage2Fields, ...fields });
}

/** The stage 2 fields: 48-bit IPA, start at level 0. */
export const stage2Fields: Partial<Ste> = {
  S2VMID: VMID,
  S2T0SZ: 16,
  S2SL0: 2,
  S2TG: '4KB',
  S2PS: 4,
  S2AA64: true,
  S2R: true,
  S2TTB: S2_TABLE,
};

/** Where the stage 2 leaf of an IPA below 1 GiB stands. */
export function s2LeafPa(ipa: number): number {
  return S2_TABLE + 0x3000 + Math.floor(ipa / 2 ** 21) * 0x1000 + (Math.floor(ipa / 4096) % 512) * 8;
}

/** Maps a page of IPA to a page of PA. */
export function s2Map(ipa: number, pa: number = GUEST + ipa, bits: bigint = S2_RW): Stimulus {
  return store(s2LeafPa(ipa), BigInt(pa) | bits);
}

export function s2Unmap(ipa: number): Stimulus {
  return store(s2LeafPa(ipa), 0);
}

/** Stage 2 tables for the first `megabytes` of IPA, an even number, all mapped to GUEST. */
export function s2Tables(megabytes: number): Stimulus[] {
  const regions = megabytes / 2;
  const out = [
    store(S2_TABLE, BigInt(S2_TABLE + 0x1000) | TABLE),
    store(S2_TABLE + 0x1000, BigInt(S2_TABLE + 0x2000) | TABLE),
  ];
  for (let region = 0; region < regions; region += 1) {
    const table = S2_TABLE + 0x3000 + region * 0x1000;
    out.push(store(S2_TABLE + 0x2000 + region * 8, BigInt(table) | TABLE));
    const leaves = Array.from(
      { length: 512 },
      (_, page) => BigInt(GUEST + region * 2 ** 21 + page * 4096) | S2_RW,
    );
    out.push(store(table, ...leaves));
  }
  return out;
}

/** The same store, as the guest does it: its address is an IPA. */
export function inGuest(stimulus: Stimulus): Stimulus {
  if (stimulus.type !== 'mem.write') return stimulus;
  return { ...stimulus, pa: stimulus.pa + GUEST };
}

/** A nested stream brought up: stage 2 for 32 MiB, guest tables for the first 2 MiB of input addresses. */
export function nestedBringUp(fields: Partial<Ste> = {}): Stimulus[] {
  const stream = storeWords(at.strtab + SID * 64, nestedSte(fields));
  return [...bringUp(), stream, ...s2Tables(32), inGuest(storeWords(at.cd, cd())), ...tables().map(inGuest)];
}

/** Guest page table entry of an input address below 2 MiB. */
export function guestMap(iova: number, ipa: number, bits?: bigint): Stimulus {
  return inGuest(map(iova, ipa, bits));
}
