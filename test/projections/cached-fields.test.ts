/**
 * Each field of a CD and of an STE, changed while a TLB entry made under it is cached: what is told of the next access
 * with no invalidation, with CMD_CFGI_* alone, and with the TLB invalidated too (IHI 0070 5.2.1, 5.4.1, 16.2). A row:
 * the field before and after, the leaf, and the access on which the two differ.
 */
import { describe, expect, it } from 'vitest';
import { CD } from '../../core/smmu/cd.ts';
import { smmuConfig } from '../../core/smmu/profiles.ts';
import { STE } from '../../core/smmu/ste.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import {
  ASID,
  at,
  cd,
  command,
  issue,
  leafPa,
  machine,
  SID,
  ste,
  store,
  storeWords,
} from '../support/build.ts';
import { findingsOf, givenOn } from '../support/entries.ts';
import { put, table } from '../support/tables.ts';

const IOVA = 0x4000;
const VMID = 3;
const of = machine(
  { ram: [{ base: 0, size: 2 ** 33 }] },
  smmuConfig('everything', { name: 'smmu0', base: 0 }),
);
const SYNC = command('CMD_SYNC');
const NH_ASID = command('CMD_TLBI_NH_ASID', { ASID });
const S12_VMALL = command('CMD_TLBI_S12_VMALL', { VMID });

/** What stands there before the story begins is known to be clean. */
const clean = [
  ...issue(0, command('CMD_CFGI_STE_RANGE', { Range: 31 }), SYNC),
  ...issue(2, command('CMD_TLBI_NSNH_ALL'), SYNC),
];

type Column = 'field' | 'before' | 'after' | 'leaf' | 'access' | 'nothing' | 'cfgi';
const HEAD = 'field | before | after | leaf | access | nothing | cfgi\n';

/** `w`, `x` for instruction fetches, `p` for privileged. */
function access(letters: string): Stimulus {
  const has = (letter: string): boolean => letters.includes(letter);
  return {
    type: 'dma',
    endpoint: 'dev0',
    iova: BigInt(IOVA),
    size: 8,
    access: has('w') ? 'write' : 'read',
    exec: has('x'),
    privileged: has('p'),
  };
}

const leaf = (text: string): Stimulus => store(leafPa(IOVA), BigInt(`0x${text}`) + BigInt(at.data));

/** Rules of the findings, worst first as they come; `-` for none. */
function told(
  before: readonly Stimulus[],
  use: Stimulus,
  change: Stimulus,
  ...commands: Uint32Array[]
): string {
  const steps =
    commands.length === 0 ? [] : commands.flatMap((each, index) => issue(4 + index * 2, each, SYNC));
  const found = findingsOf(givenOn(of, before, use, change, steps, use));
  return (
    found.map(({ rule, verdict }) => (verdict === 'used-stale' ? rule : `${rule} ${verdict}`)).join(' ') ||
    '-'
  );
}

describe('a field of a CD', () => {
  const rows = table<Column>(`${HEAD}
    WXN    | WXN=0      | WXN=1      | f43               | x  | I8 | I3
    WXN    | WXN=1      | WXN=0      | f43               | x  | I8 | I3
    UWXN   | UWXN=0     | UWXN=1     | f43               | x  | -  | -
    PAN    | PAN=0      | PAN=1      | f43               | p  | I8 | I3
    PAN    | PAN=1      | PAN=0      | f43               | p  | I8 | I3
    HD     | HA=1 HD=0  | HA=1 HD=1  | 8000000000fc3     | w  | I8 | I3
    AFFD   | AFFD=1     | AFFD=0     | b43               | r  | I8 | I3
    IPS    | IPS=5      | IPS=0      | 100000f43         | r  | I8 | I3
    TTB0   | HA=0       | TTB0=0x180000 | f43            | r  | I8 | I3
    TG0    | HA=0       | TG0=64KB   | f43               | r  | I8 | I3
    MAIR   | MAIR0=0xff | MAIR0=0x44 | f43               | r  | I3 | I3
    AMAIR  | AMAIR0=0   | AMAIR0=1   | f43               | r  | I3 | I3
    E0PD0  | E0PD0=0    | E0PD0=1    | f43               | r  | I8 | -
    EPD0   | EPD0=0     | EPD0=1     | f43               | r  | I8 | -
    SH0    | SH0=NSH    | SH0=ISH    | f43               | r  | -  | -
    R      | R=1        | R=0        | fc3               | w  | I8 | -
    A      | A=1        | A=0        | fc3               | w  | I8 | -
    S      | S=0        | S=1        | fc3               | w  | I8 | -
    PARTID | PARTID=0   | PARTID=1   | f43               | r  | -  | -
  `);
  it.each(rows)(
    '$before -> $after, $access of $leaf',
    ({ before, after, leaf: bits, access: how, nothing, cfgi }) => {
      const was = put(CD.fields, cd(), before);
      const story = [storeWords(at.cd, was), leaf(bits), ...clean];
      const change = storeWords(at.cd, put(CD.fields, was, after));
      const CFGI = command('CMD_CFGI_CD', { StreamID: SID, Leaf: true });
      expect(told(story, access(how), change)).toBe(nothing);
      expect(told(story, access(how), change, CFGI)).toBe(cfgi);
      expect(told(story, access(how), change, CFGI, NH_ASID)).toBe('-');
    },
  );
});

describe('a field of an STE of stage 2', () => {
  const STAGE_2 = {
    Config: 'S2',
    S2VMID: VMID,
    S2T0SZ: 25,
    S2SL0: 1,
    S2PS: 5,
    S2AA64: true,
    S2R: true,
  } as const;
  const rows = table<Column>(`${HEAD}
    S2AFFD | S2AFFD=1      | S2AFFD=0       | 3ff               | r | I8 | I3
    S2PS   | S2PS=5        | S2PS=0         | 1000007ff         | r | I8 | I3
    S2TTB  | S2R=1         | S2TTB=0x180000 | 7ff               | r | I8 | I3
    S2HD   | S2HA=1 S2HD=0 | S2HA=1 S2HD=1  | 800000000077f     | w | I8 | I3
    S2FWB  | S2FWB=0       | S2FWB=1        | 7ff               | r | I3 | I3
    S2T0SZ | S2T0SZ=25     | S2T0SZ=32      | 7ff               | r | -  | -
    S2VMID | S2VMID=3      | S2VMID=4       | 7ff               | r | -  | -
    S2R    | S2R=1         | S2R=0          | 77f               | w | I8 | -
    S2S    | S2S=0         | S2S=1          | 77f               | w | I8 | -
    SHCFG  | SHCFG=ISH     | SHCFG=OSH      | 7ff               | r | I8 | -
    MTCFG  | MTCFG=0       | MTCFG=1 MemAttr=5 | 7ff            | r | I8 | -
    EATS   | EATS=OFF      | EATS=FULL      | 7ff               | r | -  | -
    CONT   | CONT=0        | CONT=3         | 7ff               | r | -  | -
  `);
  it.each(rows)(
    '$before -> $after, $access of $leaf',
    ({ before, after, leaf: bits, access: how, nothing, cfgi }) => {
      const pa = at.strtab + SID * 64;
      const was = put(STE.fields, ste({ ...STAGE_2, S2TG: '4KB', S2TTB: at.table + 0x1000 }), before);
      // Of 39 bits and from level 1 on: the tables of the machine below their first.
      const story = [storeWords(pa, was), leaf(bits), ...clean];
      const change = storeWords(pa, put(STE.fields, was, after));
      const CFGI = command('CMD_CFGI_STE', { StreamID: SID, Leaf: true });
      expect(told(story, access(how), change)).toBe(nothing);
      expect(told(story, access(how), change, CFGI)).toBe(cfgi);
      expect(told(story, access(how), change, CFGI, S12_VMALL)).toBe('-');
    },
  );
});

describe('a field of an STE of stage 1', () => {
  const rows = table<Column>(`${HEAD}
    PRIVCFG  | PRIVCFG=0    | PRIVCFG=2  | f03 | p | I8 | -
    INSTCFG  | INSTCFG=0    | INSTCFG=3  | 60000000000f43 | r | I8 | -
    S1CDMax  | S1CDMax=0    | S1CDMax=2  | f43 | r | I8 | -
    S1DSS    | S1CDMax=2 S1DSS=2 | S1DSS=0 | f43 | r | I8 | -
    Config   | Config=S1    | Config=ABORT | f43 | r | I8 | -
    Config   | Config=S1    | Config=BYPASS | f43 | r | I8 | -
    V        | V=1          | V=0        | f43 | r | I8 | -
    S2VMID   | S2VMID=0     | S2VMID=1   | f43 | r | -  | -
    SHCFG    | SHCFG=ISH    | SHCFG=OSH  | f43 | r | -  | -
  `);
  it.each(rows)(
    '$before -> $after, $access of $leaf',
    ({ before, after, leaf: bits, access: how, nothing, cfgi }) => {
      const pa = at.strtab + SID * 64;
      const was = put(STE.fields, ste(), before);
      const story = [storeWords(pa, was), leaf(bits), ...clean];
      const change = storeWords(pa, put(STE.fields, was, after));
      const CFGI = command('CMD_CFGI_STE', { StreamID: SID, Leaf: true });
      expect(told(story, access(how), change)).toBe(nothing);
      expect(told(story, access(how), change, CFGI)).toBe(cfgi);
      expect(told(story, access(how), change, CFGI, NH_ASID)).toBe('-');
    },
  );
});
