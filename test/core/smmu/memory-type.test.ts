/**
 * Memory types: what CD.MAIR means with its reserved values (IHI 0070 5.4), what stage 2 makes of it with and
 * without S2FWB (13.1.5, 13.1.6, 3.23.1), and that what comes out is consistent (13.1.7).
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Shareability,
  shareability,
  stage1Type,
  throughStage2,
} from '../../../core/smmu/memory-type.ts';
import { table } from '../../support/tables.ts';

/** Names as 13.1.1 writes them: outer before inner here, `WB+RW` allocates on reads and writes, `~` is transient. */
function name(attr: number): string {
  if (attr >> 4 === 0) return ['nGnRnE', 'nGnRE', 'nGRE', 'GRE'][attr >> 2] ?? '?';
  const half = (bits: number): string => {
    if (bits === 4) return 'NC';
    const hints = `${bits & 2 ? 'R' : ''}${bits & 1 ? 'W' : ''}`;
    return `${bits & 4 ? 'WB' : 'WT'}${bits < 8 ? '~' : '+'}${hints}`;
  };
  return `${half(attr >> 4)} ${half(attr & 15)}`;
}

describe('stage 1', () => {
  const rows = table<'mair' | 'type'>(`
    mair       | type
    0b00000000 | nGnRnE
    0b00000100 | nGnRE
    0b00001000 | nGRE
    0b00001100 | GRE
    0b01000100 | NC NC
    0b11111111 | WB+RW WB+RW
    0b11101110 | WB+R WB+R
    0b10111011 | WT+RW WT+RW
    0b11110100 | WB+RW NC
    0b01001001 | NC WT+W
    0b00110111 | WT~RW WB~RW
    0b01010010 | WB~W WT~R
    0b10001100 | WT+ WB+
    0b00000001 | nGnRnE
    0b00000010 | nGnRnE
    0b00000111 | nGnRE
    0b00001001 | nGRE
    0b00001111 | GRE
    0b11110000 | WB+RW WT~RW
    0b01000000 | NC WT~RW
  `);
  it.each(rows)('MAIR $mair is $type', ({ mair, type }) => {
    expect(name(stage1Type(Number(mair), 'ISH').attr)).toBe(type);
  });
});

describe('stage 2 without FWB takes the stronger of each', () => {
  const rows = table<'mair' | 'memAttr' | 'type'>(`
    mair       | memAttr | type
    0b11111111 | 0b1111  | WB+RW WB+RW
    0b11101110 | 0b1111  | WB+R WB+R
    0b11111111 | 0b1010  | WT+RW WT+RW
    0b11111111 | 0b0101  | NC NC
    0b11111111 | 0b0111  | NC WB+RW
    0b11111111 | 0b1101  | WB+RW NC
    0b11111111 | 0b1011  | WT+RW WB+RW
    0b01110111 | 0b1010  | WT~RW WT~RW
    0b10111011 | 0b1111  | WT+RW WT+RW
    0b01000100 | 0b1111  | NC NC
    0b11111111 | 0b0000  | nGnRnE
    0b11111111 | 0b0001  | nGnRE
    0b11111111 | 0b0010  | nGRE
    0b11111111 | 0b0011  | GRE
    0b00001100 | 0b1111  | GRE
    0b00001100 | 0b0001  | nGnRE
    0b00000100 | 0b0011  | nGnRE
    0b00000000 | 0b0011  | nGnRnE
    0b11111111 | 0b1000  | WT+RW NC
    0b11111111 | 0b1100  | WB+RW NC
    0b11111111 | 0b0100  | NC NC
  `);
  it.each(rows)('MAIR $mair and MemAttr $memAttr: $type', ({ mair, memAttr, type }) => {
    const first = stage1Type(Number(mair), 'NSH');
    const stage2 = { memAttr: Number(memAttr), sh: 'NSH', fwb: false, mtePerm: false } as const;
    expect(name(throughStage2(first, stage2).attr)).toBe(type);
  });

  it('takes MemAttr 0b0100 as Write-Back where FEAT_MTE_PERM is there (3.23.1)', () => {
    const stage2 = { memAttr: 0b0100, sh: 'NSH', fwb: false, mtePerm: true } as const;
    expect(name(throughStage2(stage1Type(0xee, 'NSH'), stage2).attr)).toBe('WB+R WB+R');
  });
});

describe('stage 2 with FWB', () => {
  const rows = table<'mair' | 'memAttr' | 'type'>(`
    mair       | memAttr | type
    0b11111111 | 0b0000  | nGnRnE
    0b11111111 | 0b0011  | GRE
    0b00000100 | 0b0011  | nGnRE
    0b00001100 | 0b0000  | nGnRnE
    0b11111111 | 0b0101  | NC NC
    0b10111011 | 0b0101  | NC NC
    0b00001100 | 0b0101  | GRE
    0b11111111 | 0b0110  | WB+RW WB+RW
    0b10101001 | 0b0110  | WB+R WB+W
    0b00110001 | 0b0110  | WB~RW WB~W
    0b01000100 | 0b0110  | WB+RW WB+RW
    0b01001001 | 0b0110  | WB+RW WB+W
    0b00000000 | 0b0110  | WB+RW WB+RW
    0b11101110 | 0b0111  | WB+R WB+R
    0b01000100 | 0b0111  | NC NC
    0b00000100 | 0b0111  | nGnRE
    0b11101110 | 0b1111  | WB+R WB+R
    0b00000000 | 0b1110  | WB+RW WB+RW
    0b11111111 | 0b0100  | NC NC
  `);
  it.each(rows)('MAIR $mair and MemAttr $memAttr: $type', ({ mair, memAttr, type }) => {
    const first = stage1Type(Number(mair), 'NSH');
    const stage2 = { memAttr: Number(memAttr), sh: 'NSH', fwb: true, mtePerm: false } as const;
    expect(name(throughStage2(first, stage2).attr)).toBe(type);
  });
});

describe('shareability', () => {
  it('is read from SH, where 1 is Non-shareable', () => {
    expect([0, 1, 2, 3].map(shareability)).toEqual(['NSH', 'NSH', 'OSH', 'ISH']);
  });

  const rows = table<'first' | 'second' | 'out'>(`
    first | second | out
    NSH   | NSH    | NSH
    NSH   | ISH    | ISH
    ISH   | NSH    | ISH
    ISH   | ISH    | ISH
    ISH   | OSH    | OSH
    OSH   | NSH    | OSH
  `);
  it.each(rows)('of $first and $second is $out', ({ first, second, out }) => {
    const stage2 = { memAttr: 0b1111, sh: second as Shareability, fwb: false, mtePerm: false };
    expect(throughStage2(stage1Type(0xff, first as Shareability), stage2).sh).toBe(out);
  });

  it('is Outer for Device and what no cache holds, whatever the descriptors say (13.1.7)', () => {
    for (const mair of [0, 0x04, 0x08, 0x0c, 0x44]) expect(stage1Type(mair, 'NSH').sh).toBe('OSH');
    const nc = { memAttr: 0b0101, sh: 'NSH', fwb: false, mtePerm: false } as const;
    expect(throughStage2(stage1Type(0xff, 'ISH'), nc)).toEqual({ attr: 0x44, sh: 'OSH' });
  });
});

describe('every combination', () => {
  const sh = fc.constantFrom<Shareability>('NSH', 'ISH', 'OSH');
  const stage2 = fc.record({ memAttr: fc.nat(15), sh, fwb: fc.boolean(), mtePerm: fc.boolean() });

  it('comes out without reserved values, and stage 2 twice is stage 2 once', () => {
    fc.assert(
      fc.property(fc.nat(255), sh, stage2, (mair, first, second) => {
        const once = throughStage2(stage1Type(mair, first), second);
        expect(stage1Type(once.attr, once.sh)).toEqual(once);
        expect(throughStage2(once, second)).toEqual(once);
      }),
    );
  });
});
