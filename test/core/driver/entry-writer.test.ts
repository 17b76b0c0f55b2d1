/**
 * The order in which STEs and CDs change: the doublewords stored before each CMD_SYNC, for every transition that
 * the driver's own unit tests know and for those computed besides; and for drawn entries, that hardware sees
 * the old entry, the new one, or an invalid one in between.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyCd, stage1Cd, usedOfCd } from '../../../core/driver/cd.ts';
import { type Entry, writeSteps } from '../../../core/driver/entry-writer.ts';
import { decideFeatures, defaultPlatform } from '../../../core/driver/features.ts';
import type { CdTable, Master, Stage1Domain, Stage2Domain } from '../../../core/driver/state.ts';
import {
  abortSte,
  bypassSte,
  cdTableSte,
  nestedSte,
  safeOfSte,
  stage2Ste,
  usedOfSte,
} from '../../../core/driver/ste.ts';
import { shapeOf } from '../../../core/driver/table-shape.ts';
import { profiles } from '../../../core/smmu/profiles.ts';
import { table } from '../../support/tables.ts';

const idr = profiles.everything.idr as Parameters<typeof decideFeatures>[0];
const platform = { ...defaultPlatform, vhe: false };
const features = decideFeatures(idr, platform);
const master: Master = {
  endpoint: 'dev0',
  streams: [8],
  ssidBits: 0,
  stallEnabled: false,
  canAts: true,
  cdInSte: false,
  atsEnabled: false,
  attached: {},
};
const stalling: Master = { ...master, stallEnabled: true };
const cdTableAt = (pa: number): CdTable => ({ pa, twoLevel: false, bytes: 64, maxLog2: 0, leaves: {} });
const stage2At = (vmid: number): Stage2Domain => {
  const table = { ...shapeOf(features, platform, { stage: 2 }), root: 0x50_0000 };
  return { id: 1, kind: 's2', vmid, nestParent: false, table, invs: [] };
};
const stage1At = (asid: number, root: number): Stage1Domain => {
  const table = { ...shapeOf(features, platform, { stage: 1 }), root };
  return { id: 1, kind: 's1', asid, table, invs: [] };
};
const s1 = (ats: boolean, of: Master, s1dss: 'SUBSTREAM0' | 'BYPASS' = 'SUBSTREAM0', pa = 0x10_0000): Entry =>
  cdTableSte(features, of, cdTableAt(pa), { ats, s1dss });
/** vSTE: V, Config 5, a context at `pa`; the second doubleword as given. */
const vste = (pa: bigint, second: bigint): readonly [bigint, bigint] => [0xbn | pa, second];
const nested = (pa: bigint, second: bigint, ats: boolean): Entry =>
  nestedSte(stage2Ste(features, master, stage2At(3), ats), vste(pa, second), true);

const cd = stage1Cd(master, stage1At(5, 0x60_0000));
const svaCd: Entry = cd.map((value, at) => (at === 1 ? value + 0x1000n : value));
/** EPD0 set; what it lets be ignored is 0, and so are S and R. */
const released: Entry = svaCd.map((value, at) => {
  if (at === 0) return (value | (1n << 14n)) & ~0x3fffn & ~(3n << 44n);
  return at === 1 ? 0n : value;
});

const entries: Readonly<Record<string, Entry>> = {
  abort: abortSte,
  bypass: bypassSte(features),
  cdtable: s1(true, master),
  cdtable_bypass: s1(true, master, 'BYPASS'),
  cdtableB_bypass: s1(true, master, 'BYPASS', 0x20_0000),
  s1: s1(true, master),
  s1_stall: s1(true, stalling),
  s2: stage2Ste(features, master, stage2At(0), true),
  s2_stall: stage2Ste(features, stalling, stage2At(0), true),
  s2_vmid3: stage2Ste(features, master, stage2At(3), true),
  s2_vmid3_noats: stage2Ste(features, master, stage2At(3), false),
  nestedA: nested(0x8000_0000n, 2n, false),
  nestedA_ats: nested(0x8000_0000n, 2n, true),
  nestedA_bypass_ats: nested(0x8000_0000n, 1n, true),
  nestedB: nested(0x9000_0000n, 2n, false),
  nestedB_bypass: nested(0x9000_0000n, 1n, false),
  CD_none: emptyCd,
  CD_s1: cd,
  CD_asid6: stage1Cd(master, stage1At(6, 0x60_0000)),
  CD_asid6_other: stage1Cd(master, stage1At(6, 0x70_0000)),
  CD_sva: svaCd,
  CD_released: released,
};

// Before each slash: the doublewords that are stored, then a CMD_SYNC. q0:=0 makes the entry invalid.
const transitions = table<'from' | 'to' | 'stores'>(`
  from               | to                 | stores
  bypass             | abort              | q0/q1
  abort              | bypass             | q1/q0
  cdtable            | abort              | q0/q1
  abort              | cdtable            | q1/q0
  cdtable            | bypass             | q1/q0/q1
  bypass             | cdtable            | q1/q0/q1
  cdtable            | cdtable_bypass     | q1
  cdtable_bypass     | cdtable            | q1
  cdtable_bypass     | bypass             | q0/q1
  bypass             | cdtable_bypass     | q1/q0
  s2                 | abort              | q0/q1,q2,q3
  abort              | s2                 | q1,q2,q3/q0
  s2                 | bypass             | q0/q1,q2,q3
  bypass             | s2                 | q1,q2,q3/q0
  s1                 | s2                 | q1,q2,q3/q0/q1
  s2                 | s1                 | q1/q0/q1,q2,q3
  s1_stall           | s2_stall           | q1,q2,q3/q0/q1
  s2_stall           | s1_stall           | q1/q0/q1,q2,q3
  cdtable            | cdtableB_bypass    | q0:=0/q1/q0
  nestedA_bypass_ats | s2_vmid3_noats     | q1/q0/q1
  s2_vmid3_noats     | nestedA_bypass_ats | q1/q0
  s1                 | s2_vmid3           | q0:=0/q1,q2,q3/q0
  s2_vmid3           | s1                 | q0:=0/q1,q2,q3/q0
  abort              | nestedA            | q1,q2,q3/q0
  s2_vmid3           | nestedA_ats        | q1/q0
  s2_vmid3_noats     | nestedA            | q1/q0
  nestedA            | s2_vmid3_noats     | q1/q0/q1
  nestedA            | abort              | q0/q1,q2,q3
  nestedA            | nestedB            | q0
  nestedA            | nestedB_bypass     | q0:=0/q1/q0
  nestedA            | nestedA_ats        | q1
  nestedA            | nestedA            | -
  CD_none            | CD_s1              | q1,q3/q0
  CD_s1              | CD_none            | q0/q1,q3
  CD_s1              | CD_asid6           | q0
  CD_s1              | CD_asid6_other     | q0:=0/q1/q0
  CD_none            | CD_sva             | q1,q3/q0
  CD_sva             | CD_none            | q0/q1,q3
  CD_sva             | CD_released        | q0/q1
  CD_released        | CD_sva             | q1/q0
`);

const stepsOf = (from: string, to: string): ReturnType<typeof writeSteps> => {
  const [current, target] = [entries[from]!, entries[to]!];
  return from.startsWith('CD_')
    ? writeSteps(current, target, usedOfCd)
    : writeSteps(current, target, usedOfSte, safeOfSte);
};

function said(steps: ReturnType<typeof writeSteps>): string {
  const words = steps.map((step) =>
    step.map(([at, value]) => (value === 0n && at === 0 ? 'q0:=0' : `q${at}`)).join(','),
  );
  return words.length === 0 ? '-' : words.join('/');
}

describe('the entry writer', () => {
  it.each(transitions.map(({ from, to, stores }) => [from, to, stores]))(
    '%s -> %s: %s',
    (from, to, stores) => {
      // A CD that is taken away is zero in its first doubleword at the end: that is no intermediate state.
      const zeroEnd = entries[to]![0] === 0n;
      expect(zeroEnd ? said(stepsOf(from, to)).replace('q0:=0', 'q0') : said(stepsOf(from, to))).toBe(stores);
    },
  );

  it('shows hardware the old entry, the new one, or an invalid one, at every store', () => {
    const names = Object.keys(entries).filter((name) => !name.startsWith('CD_'));
    const visible = (entry: Entry): string =>
      ((entry[0]! & 1n) === 0n ? [] : entry.map((value, at) => value & usedOfSte(entry)[at]!)).join();
    const name = fc.constantFrom(...names);
    fc.assert(
      fc.property(name, name, (from, to) => {
        const harmless = safeOfSte(entries[from]!, entries[to]!);
        const plain = (entry: Entry): Entry => entry.map((value, at) => value & ~harmless[at]!);
        const good = [entries[from]!, entries[to]!].map((entry) => visible(plain(entry)));
        let now = [...entries[from]!];
        for (const step of stepsOf(from, to)) {
          for (const [at, value] of step) {
            now = now.map((old, index) => (index === at ? value : old));
            expect([...good, '']).toContain(visible(plain(now)));
          }
        }
        expect(now).toEqual(entries[to]);
      }),
    );
  });
});
