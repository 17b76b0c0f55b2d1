/**
 * Which commands are CERROR_ILL on the Non-secure queue (IHI 0070 4.1.1, 4.1.3, 4.1.6 and each command's
 * section), by feature and by parameter; and the opcodes that are not there at all.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cerrors } from '../../../core/smmu/codes.ts';
import { illegalReason } from '../../../core/smmu/command.ts';
import { type CommandName, commandByOpcode, commandLayouts } from '../../../core/smmu/command-layout.ts';
import { Features } from '../../../core/smmu/features.ts';
import { bringUp, issue, machine, write } from '../../support/build.ts';
import { on } from '../../support/given.ts';
import { idr, put, table } from '../../support/tables.ts';

const FULL = 'S1P=1 S2P=1 Hyp=1 ATS=1 PRI=1 STALL_MODEL=0 MPAM=1 DPT=1 RIL=1';

function wordsOf(name: string, fields: string): Uint32Array {
  const { layout, opcode } = commandLayouts[name as CommandName];
  const words = put(layout.fields, new Uint32Array(4), fields);
  words[0] = ((words[0] ?? 0) | opcode) >>> 0;
  return words;
}

function reason(name: string, fields: string, features: string): string | undefined {
  return illegalReason(wordsOf(name, fields), new Features(idr(`${FULL} ${features}`)));
}

// `ILL` or `ok` with every feature, and what takes its legality away.
const features = table<'command' | 'full' | 'lost'>(
  `
  command              | full | lost without
  CMD_PREFETCH_CONFIG  | ok   |
  CMD_PREFETCH_ADDR    | ok   |
  CMD_CFGI_STE         | ok   |
  CMD_CFGI_STE_RANGE   | ok   |
  CMD_CFGI_CD          | ok   | S1P=0
  CMD_CFGI_CD_ALL      | ok   | S1P=0
  CMD_CFGI_VMS_PIDM    | ok   | MPAM=0
  CMD_TLBI_NH_ALL      | ok   | S1P=0
  CMD_TLBI_NH_ASID     | ok   | S1P=0
  CMD_TLBI_NH_VA       | ok   | S1P=0
  CMD_TLBI_NH_VAA      | ok   | S1P=0
  CMD_TLBI_EL3_ALL     | ILL  |
  CMD_TLBI_EL3_VA      | ILL  |
  CMD_TLBI_EL2_ALL     | ok   | Hyp=0
  CMD_TLBI_EL2_ASID    | ok   | Hyp=0
  CMD_TLBI_EL2_VA      | ok   | Hyp=0
  CMD_TLBI_EL2_VAA     | ok   | Hyp=0
  CMD_TLBI_S12_VMALL   | ok   | S2P=0
  CMD_TLBI_S2_IPA      | ok   | S2P=0
  CMD_TLBI_NSNH_ALL    | ok   |
  CMD_ATC_INV          | ok   | ATS=0
  CMD_PRI_RESP         | ok   | PRI=0
  CMD_RESUME           | ok   | STALL_MODEL=1
  CMD_STALL_TERM       | ok   | STALL_MODEL=1
  CMD_SYNC             | ok   |
  CMD_TLBI_S_EL2_ALL   | ILL  |
  CMD_TLBI_S_EL2_ASID  | ILL  |
  CMD_TLBI_S_EL2_VA    | ILL  |
  CMD_TLBI_S_EL2_VAA   | ILL  |
  CMD_TLBI_S_S12_VMALL | ILL  |
  CMD_TLBI_S_S2_IPA    | ILL  |
  CMD_TLBI_SNH_ALL     | ILL  |
  CMD_DPTI_ALL         | ok   | DPT=0
  CMD_DPTI_PA          | ok   | DPT=0
`.replace('lost without', 'lost'),
);

describe('by feature', () => {
  it('covers every command', () => {
    expect(features.map((row) => row.command)).toEqual(Object.keys(commandLayouts));
  });

  it.each(features)('$command is $full, and ILL with $lost', ({ command, full, lost }) => {
    expect(reason(command, '', '') === undefined).toBe(full === 'ok');
    // Nothing but its own feature matters, and forced stalls keep the stall commands.
    const each = [
      'S1P=0',
      'S2P=0',
      'Hyp=0',
      'ATS=0',
      'PRI=0',
      'STALL_MODEL=1',
      'STALL_MODEL=2',
      'MPAM=0',
      'DPT=0',
    ];
    for (const feature of [...each, 'RIL=0']) {
      const ill = full === 'ILL' || feature === lost;
      expect([feature, reason(command, '', feature) !== undefined]).toEqual([feature, ill]);
    }
  });

  it.each(features.filter(({ lost }) => lost !== ''))(
    'names the missing feature of $command before its parameters',
    ({ command, lost }) => {
      const ssec = 'SSec' in commandLayouts[command as CommandName].layout.fields ? 'SSec=1' : '';
      expect(reason(command, ssec, lost)).toContain(lost === 'STALL_MODEL=1' ? 'STALL_MODEL' : lost);
    },
  );
});

describe('by parameter', () => {
  const rows = table<'command' | 'fields' | 'features' | 'verdict'>(`
    command             | fields                      | features | verdict
    CMD_PREFETCH_CONFIG | SSec=1                      |          | SSec=1
    CMD_PREFETCH_ADDR   | SSec=1                      |          | SSec=1
    CMD_CFGI_STE        | SSec=1                      |          | SSec=1
    CMD_CFGI_STE_RANGE  | SSec=1 Range=31             |          | SSec=1
    CMD_CFGI_CD         | SSec=1                      |          | SSec=1
    CMD_CFGI_CD_ALL     | SSec=1                      |          | SSec=1
    CMD_CFGI_VMS_PIDM   | SSec=1                      |          | SSec=1
    CMD_RESUME          | SSec=1                      |          | SSec=1
    CMD_STALL_TERM      | SSec=1                      |          | SSec=1
    CMD_SYNC            | CS=0                        |          | ok
    CMD_SYNC            | CS=1                        |          | ok
    CMD_SYNC            | CS=2                        |          | ok
    CMD_SYNC            | CS=3                        |          | CS=3
    CMD_ATC_INV         | Size=52                     |          | ok
    CMD_ATC_INV         | Size=53                     |          | Size>52
    CMD_ATC_INV         | Size=63                     |          | Size>52
    CMD_PRI_RESP        | Resp=2                      |          | ok
    CMD_PRI_RESP        | Resp=3                      |          | Resp=3
    CMD_TLBI_NH_VA      | TG=0 NUM=0 SCALE=0 TTL=0    |          | ok
    CMD_TLBI_NH_VA      | TG=1 NUM=0 SCALE=0 TTL=0    |          | TG
    CMD_TLBI_NH_VA      | TG=1 NUM=0 SCALE=0 TTL=0    | RIL=0    | ok
    CMD_TLBI_NH_VA      | TG=1 NUM=1 SCALE=0 TTL=0    |          | ok
    CMD_TLBI_NH_VA      | TG=1 NUM=0 SCALE=1 TTL=0    |          | ok
    CMD_TLBI_NH_VA      | TG=1 NUM=0 SCALE=0 TTL=1    |          | ok
    CMD_TLBI_NH_VA      | TG=2 NUM=0 SCALE=0 TTL=1    |          | TG
    CMD_TLBI_NH_VA      | TG=2 NUM=0 SCALE=0 TTL=1    | DS=1     | ok
    CMD_TLBI_NH_VA      | TG=2 NUM=0 SCALE=0 TTL=2    |          | ok
    CMD_TLBI_NH_VA      | TG=3 NUM=0 SCALE=0 TTL=1    |          | ok
    CMD_TLBI_NH_VA      | TG=1 NUM=0 SCALE=32 TTL=0   |          | TG
    CMD_TLBI_NH_VA      | TG=1 NUM=0 SCALE=32 TTL=0   | DS=1     | ok
    CMD_TLBI_NH_VAA     | TG=3                        |          | TG
    CMD_TLBI_EL2_VA     | TG=3                        |          | TG
    CMD_TLBI_EL2_VAA    | TG=3                        |          | TG
    CMD_TLBI_S2_IPA     | TG=3                        |          | TG
    CMD_TLBI_S2_IPA     | TG=3 TTL=3                  |          | ok
  `);
  it.each(rows)('$command $fields $features: $verdict', ({ command, fields, features: lacking, verdict }) => {
    const found = reason(command, fields, lacking);
    if (verdict === 'ok') expect(found).toBeUndefined();
    else expect(found).toContain(verdict);
  });
});

describe('by opcode (4.1.1)', () => {
  const reserved = `
    00 08-0f 14-17 19 1b-1f 24-27 29 2b-2f 31-3f 42-43 47-4f 54-57 59 5b-5f 61-6f 71-72 74-ff`
    .trim()
    .split(/\s+/)
    .flatMap((range) => {
      const [first = '', last = first] = range.split('-');
      const from = Number.parseInt(first, 16);
      return Array.from({ length: Number.parseInt(last, 16) - from + 1 }, (_, at) => from + at);
    });

  it('knows no reserved and no IMPLEMENTATION DEFINED opcode', () => {
    for (const opcode of reserved) {
      expect(illegalReason([opcode, 0, 0, 0], new Features(idr(FULL)))).toContain('reserved');
    }
  });

  it('knows all others', () => {
    const known = Array.from({ length: 256 }, (_, opcode) => opcode).filter((at) => !reserved.includes(at));
    expect(known.filter((opcode) => commandByOpcode(opcode) === undefined)).toEqual([]);
    expect(known).toHaveLength(features.length);
  });
});

// CERROR_ILL counts before what makes a command IGNORED (4.1.3): ATS, PRI and prefetches while SMMUEN=0.
describe('while SMMUEN is 0', () => {
  const rows = table<'command' | 'fields' | 'fate'>(`
    command             | fields  | fate
    CMD_ATC_INV         | Size=52 | consumed
    CMD_ATC_INV         | Size=53 | CERROR_ILL
    CMD_PRI_RESP        | Resp=2  | consumed
    CMD_PRI_RESP        | Resp=3  | CERROR_ILL
    CMD_PREFETCH_CONFIG |         | consumed
    CMD_PREFETCH_CONFIG | SSec=1  | CERROR_ILL
    CMD_PREFETCH_ADDR   |         | consumed
    CMD_PREFETCH_ADDR   | SSec=1  | CERROR_ILL
  `);
  it.each(rows)('$command $fields is $fate', ({ command, fields, fate }) => {
    const story = on(machine({}, { idr: idr(FULL) }))
      .given(bringUp(), write('CR0', 0xc))
      .when(issue(0, wordsOf(command, fields), wordsOf('CMD_SYNC', '')));
    if (fate === 'CERROR_ILL') story.then({ type: 'command.rejected', index: 0, error: fate });
    else story.then({ type: 'command.performed', index: 0 }, { type: 'sync.completed', index: 1 });
    story.thenNo('structure.fetched', 'page.responded', 'atc.timedout', 'fetch.aborted');
  });
});

describe('any 16 bytes', () => {
  const words = fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { minLength: 4, maxLength: 4 });
  /** Half of the opcodes are known ones, else nearly all would be reserved. */
  const bytes = fc
    .tuple(words, fc.constantFrom(0, ...Object.values(commandLayouts).map((each) => each.opcode)))
    .map(([[first = 0, ...rest], opcode]) =>
      Uint32Array.from([opcode === 0 ? first : ((first & ~0xff) | opcode) >>> 0, ...rest]),
    );

  it('are consumed or CERROR_ILL, and never CERROR_NONE (7.1)', () => {
    const features = idr(FULL);
    fc.assert(
      fc.property(bytes, fc.boolean(), (entry, strictReserved) => {
        const choices = { strictReserved };
        const story = on(machine({}, { idr: features, choices }))
          .given(bringUp())
          .when(issue(0, entry));
        const why = illegalReason(entry, new Features(features), strictReserved);
        if (why === undefined) story.then({ type: 'command.consumed', index: 0 }).thenNo('command.rejected');
        else story.then({ type: 'command.rejected', error: 'CERROR_ILL', why }).thenNo('command.consumed');
        const { CMDQ_CONS = 0 } = story.state.smmus['smmu0']?.regs ?? {};
        expect(CMDQ_CONS).toBe(why === undefined ? 1 : cerrors.CERROR_ILL << 24);
      }),
      { numRuns: 400 },
    );
    expect(cerrors.CERROR_NONE).toBe(0);
  });
});
