/**
 * Address translation operations: which requests are answered, what comes first, how PAR tells each fault, and
 * the VATOS page. IHI 0070 chapter 9, 6.3.37 to 6.3.40, 6.3.99 to 6.3.102.
 */
import { describe, expect, it } from 'vitest';
import { isPathProblem, resolvePath } from '../../../core/path.ts';
import type { AtosGroup } from '../../../core/smmu/atos.ts';
import { eventRecords } from '../../../core/smmu/event-record.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  AT,
  answer,
  ask,
  asks,
  CTRL,
  IPA,
  MAIR0,
  nested,
  only2,
  PA,
  type Request,
  single,
  stream,
  toRegister,
  VA,
  world,
} from '../../support/atos.ts';
import { at, bringUp, cd, PAGE_RW, ste, store, storeWords, write } from '../../support/build.ts';
import { type Asked, on, type When } from '../../support/given.ts';
import { GUEST, guestMap, nestedSte, S2_RW, s2LeafPa, s2Map, s2Unmap, VMID } from '../../support/nested.ts';
import { table } from '../../support/tables.ts';

describe('which requests are answered (9.1.3)', () => {
  const rows = table<'config' | 'NONE' | 'S1' | 'S2' | 'S1S2'>(`
    config | NONE    | S1        | S2        | S1S2
    ABORT  | INV_REQ | INV_STAGE | INV_STAGE | INV_STAGE
    BYPASS | INV_REQ | INV_STAGE | INV_STAGE | INV_STAGE
    S1     | INV_REQ | ok        | INV_STAGE | INV_STAGE
    S2     | INV_REQ | INV_STAGE | ok        | INV_STAGE
    NESTED | INV_REQ | ok        | ok        | ok
  `);
  const streams: Readonly<Record<string, Asked>> = {
    ABORT: [bringUp(), stream(ste({ Config: 'ABORT' }))],
    BYPASS: [bringUp(), stream(ste({ Config: 'BYPASS' }))],
    S1: single,
    S2: only2,
    NESTED: nested,
  };
  const cases = rows.flatMap(({ config, ...types }) =>
    Object.entries(types).map(
      ([type, expected]) => [config, type as NonNullable<Request['type']>, expected] as const,
    ),
  );
  it.each(cases)('Config %s, TYPE %s: %s', (config, type, expected) => {
    const told = answer(asks(streams[config] ?? [], { type }));
    if (expected === 'ok') expect(told).toMatch(/^0x/);
    else expect(told).toBe(expected);
  });

  const features = table<'without' | 'type' | 'answer'>(`
    without     | type | answer
    S2P=0 Hyp=0 | S2   | INV_REQ
    S2P=0 Hyp=0 | S1S2 | INV_REQ
    S1P=0 Hyp=0 | S1   | INV_REQ
    S1P=0 Hyp=0 | S1S2 | INV_REQ
  `);
  it.each(features)('$type with $without: $answer', ({ without, type, answer: expected }) => {
    expect(answer(asks(bringUp(), { type: type as 'S1' }, without))).toBe(expected);
  });

  it('refuses a SubstreamID where stage 1 is not asked for', () => {
    expect(answer(asks(nested, { type: 'S2', substreamId: 0 }))).toBe('INV_REQ');
  });
});

describe('which comes first (9.1.5)', () => {
  const beyond = 0x4000;
  const rows: readonly [why: string, past: Asked, request: Request, expected: string][] = [
    ['INV_REQ before the StreamID', single, { type: 'NONE', streamId: beyond }, 'INV_REQ'],
    ['the StreamID before INV_STAGE', single, { type: 'S2', streamId: beyond }, 'C_BAD_STREAMID'],
    [
      'the fetch of the STE before it',
      [single, write('CR0', 0), write('STRTAB_BASE', 2 ** 40), write('CR0', 0xd)],
      { type: 'S2' },
      'F_STE_FETCH',
    ],
    ['the STE before INV_STAGE', [single, stream(ste({ V: false }))], { type: 'S2' }, 'C_BAD_STE'],
    ['INV_STAGE before the SubstreamID', single, { type: 'S1S2', substreamId: 3 }, 'INV_STAGE'],
    ['the SubstreamID', single, { substreamId: 3 }, 'C_BAD_SUBSTREAMID'],
    ['a stream without a default', [single, stream(ste({ S1CDMax: 2 }))], {}, 'F_STREAM_DISABLED'],
    [
      'SubstreamID 0 of a stream that uses it without',
      [single, stream(ste({ S1CDMax: 2, S1DSS: 'SUBSTREAM0' }))],
      { substreamId: 0 },
      'F_STREAM_DISABLED',
    ],
    ['the fetch of the CD', [single, stream(ste({ S1ContextPtr: 2 ** 40 }))], {}, 'F_CD_FETCH'],
    ['the CD', [single, storeWords(at.cd, cd({ V: false }))], {}, 'C_BAD_CD'],
    ['the translation', single, { address: 0x2000 }, 'F_TRANSLATION'],
  ];
  it.each(rows)('%s', (_, past, request, expected) => {
    expect(answer(asks(past, request))).toBe(expected);
  });
});

describe('faults of each type of request (9.1.4)', () => {
  const table3 = at.table + 0x3000;
  const far = 2 ** 40;
  // Where stage 2 is asked for too, its faults say for what, and at which IPA unless a walk aborted.
  const rows: readonly [fault: string, past: Asked, S1: string, S2: string, S1S2: string][] = [
    ['stage 1: no page', guestMap(VA, 0, 0n), 'F_TRANSLATION', '-', 'F_TRANSLATION'],
    ['stage 1: AF=0', guestMap(VA, IPA, PAGE_RW & ~(1n << 10n)), 'F_ACCESS', '-', 'F_ACCESS'],
    [
      'stage 1: privileged only',
      guestMap(VA, IPA, PAGE_RW & ~(1n << 6n)),
      'F_PERMISSION',
      '-',
      'F_PERMISSION',
    ],
    ['stage 1: beyond IPS', guestMap(VA, 2 ** 46), 'F_ADDR_SIZE', '-', 'F_ADDR_SIZE'],
    ['stage 1: a table outside RAM', [s2Map(table3, far)], 'F_WALK_EABT', '-', 'F_WALK_EABT'],
    ['the CD outside RAM', [s2Map(at.cd, far)], 'F_CD_FETCH', '-', 'F_CD_FETCH'],
    [
      'stage 2 of the CD',
      s2Unmap(at.cd),
      'F_CD_FETCH',
      '-',
      `F_TRANSLATION reason 1 at 0x${at.cd.toString(16)}`,
    ],
    [
      'stage 2 of the CD: AF=0',
      s2Map(at.cd, GUEST + at.cd, S2_RW & ~(1n << 10n)),
      'F_CD_FETCH',
      '-',
      `F_ACCESS reason 1 at 0x${at.cd.toString(16)}`,
    ],
    [
      'stage 2 of a table',
      s2Unmap(table3),
      'F_WALK_EABT',
      '-',
      `F_TRANSLATION reason 2 at 0x${table3.toString(16)}`,
    ],
    [
      'stage 2 of a table: no reads',
      s2Map(table3, GUEST + table3, S2_RW & ~0x40n),
      'F_WALK_EABT',
      '-',
      `F_PERMISSION reason 2 at 0x${table3.toString(16)}`,
    ],
    [
      'stage 2 of the page',
      s2Unmap(IPA),
      'ok',
      'F_TRANSLATION reason 3 at 0x0',
      `F_TRANSLATION reason 3 at 0x${IPA.toString(16)}`,
    ],
    [
      'stage 2 of the page: AF=0',
      s2Map(IPA, PA, S2_RW & ~(1n << 10n)),
      'ok',
      'F_ACCESS reason 3 at 0x0',
      `F_ACCESS reason 3 at 0x${IPA.toString(16)}`,
    ],
    [
      'stage 2 of the page: no reads',
      s2Map(IPA, PA, S2_RW & ~0x40n),
      'ok',
      'F_PERMISSION reason 3 at 0x0',
      `F_PERMISSION reason 3 at 0x${IPA.toString(16)}`,
    ],
    [
      'stage 2 of the page: beyond S2PS',
      s2Map(IPA, 2 ** 46),
      'ok',
      'F_ADDR_SIZE reason 3 at 0x0',
      `F_ADDR_SIZE reason 3 at 0x${IPA.toString(16)}`,
    ],
    [
      'a stage 2 table outside RAM',
      store(s2LeafPa(IPA) - (s2LeafPa(IPA) % 4096) - 0x1000, BigInt(far) | 3n),
      'F_CD_FETCH',
      'F_WALK_EABT reason 3 at 0x0',
      'F_WALK_EABT reason 1 at 0x0',
    ],
  ];
  describe.each(rows)('%s', (_, past, ...expected) => {
    it.each((['S1', 'S2', 'S1S2'] as const).map((type, index) => [type, expected[index] ?? '-'] as const))(
      'TYPE %s: %s',
      (type, told) => {
        if (told === '-') return;
        const got = answer(asks([nested, past], { type, address: type === 'S2' ? IPA : VA }));
        if (told === 'ok') expect(got).toMatch(/^0x5000 /);
        else expect(got).toBe(told);
      },
    );
  });

  it('is an Address Size fault of stage 1 where that is bypassed (3.4)', () => {
    expect(answer(asks(nested, { type: 'S2', address: 2 ** 48 }))).toBe('F_ADDR_SIZE');
    const bypassing = nestedSte({ S1CDMax: 2, S1DSS: 'BYPASS' });
    expect(answer(asks([nested, stream(bypassing)], { type: 'S1', address: 2 ** 48 }))).toBe('F_ADDR_SIZE');
    expect(answer(asks([nested, stream(bypassing)], { type: 'S1S2', address: 2 ** 48 }))).toBe('F_ADDR_SIZE');
  });

  it('looks at all 64 bits of the address', () => {
    expect(answer(asks(single, { address: 2 ** 56 + VA }))).toBe('F_TRANSLATION');
    expect(
      answer(asks([single, storeWords(at.cd, cd({ TBI0: true, MAIR0 }))], { address: 2 ** 56 + VA })),
    ).toMatch(/^0x5000 /);
    expect(answer(asks(nested, { type: 'S2', address: 2 ** 63 }))).toBe('F_ADDR_SIZE');
  });
});

describe('what a request is not', () => {
  it('an access: no record, no stall, no completion, whatever CD.A, R and S say', () => {
    const past = [single, storeWords(at.cd, cd({ S: true, R: true, A: true }))];
    const asked = asks(past, { address: 0x2000 }, 'STALL_MODEL=0 STALL_MAX=8');
    expect(answer(asked)).toBe('F_TRANSLATION');
    asked.thenNo('record.raised', 'access.stalled', 'access.terminated', 'access.completed');
  });

  it('taken while SMMUEN=0, or until it is acknowledged (6.3.37)', () => {
    const past = [bringUp(), write('CR0', 0xc)];
    asks(past, {})
      .then({ type: 'write.ignored', register: 'GATOS_CTRL', why: 'SMMUEN=0' })
      .thenOutcome({ value: 0n });
    on({ ...world(), schedule: 'manual' })
      .given(write('CR0', 1))
      .when(toRegister(CTRL.GATOS, 4, 1n))
      .then({ type: 'write.ignored', why: 'SMMUEN=0' });
  });
});

describe('RUN', () => {
  const manual = (past: Asked) => on(world()).given(past, { type: 'set', path: 'schedule', value: 'manual' });
  const turn = (unit: string): Stimulus => ({ type: 'turn', unit: `smmu0.${unit}` });
  const run = (group: AtosGroup): Stimulus => ({
    type: 'mmio.read',
    smmu: 'smmu0',
    offset: CTRL[group],
    size: 4,
  });

  it('reads 1 until PAR is written, and each group has its own (9)', () => {
    const select = write('VATOS_SEL', VMID);
    const asked = manual([nested, select]).when(ask({ type: 'S1S2' }), ask({ group: 'VATOS' }), run('GATOS'));
    asked.thenOutcome({ value: 1n });
    const second = asked
      .when(turn('vatos'))
      .then(
        { type: 'register.updated', register: 'VATOS_PAR' },
        { type: 'register.updated', register: 'VATOS_CTRL', value: 0n },
      );
    second.when(run('VATOS')).thenOutcome({ value: 0n });
    second.when(run('GATOS')).thenOutcome({ value: 1n });
    const first = second.when(turn('gatos'), {
      type: 'mmio.read',
      smmu: 'smmu0',
      offset: CTRL.GATOS + AT.PAR,
      size: 8,
    });
    expect(answer(first)).toMatch(/^0x40005000 /);
    first.when(turn('gatos')).then({ type: 'turn.passed' });
  });

  it('is cleared with INTERNAL_ERR before SMMUEN=0 is acknowledged (6.3.9.6)', () => {
    const stopped = manual([nested, write('VATOS_SEL', VMID)])
      .given(ask({}), ask({ group: 'VATOS' }))
      .when(write('CR0', 0xc), turn('acknowledge'))
      .then(
        { type: 'register.updated', register: 'GATOS_CTRL', value: 0n },
        { type: 'register.updated', register: 'VATOS_CTRL', value: 0n },
        { type: 'register.updated', register: 'CR0ACK', value: 0xcn },
      );
    const par = (group: AtosGroup): Stimulus => ({
      type: 'mmio.read',
      smmu: 'smmu0',
      offset: CTRL[group] + AT.PAR,
      size: 8,
    });
    expect(answer(stopped.when(par('GATOS')))).toBe('INTERNAL_ERR');
    expect(answer(stopped.when(par('VATOS')))).toBe('INTERNAL_ERR');
  });

  it('answers INTERNAL_ERR where SMMUEN=0 is written but not acknowledged', () => {
    const stopped = manual(nested)
      .given(ask({}), write('CR0', 0xc))
      .when(turn('gatos'), { type: 'mmio.read', smmu: 'smmu0', offset: CTRL.GATOS + AT.PAR, size: 8 });
    expect(answer(stopped)).toBe('INTERNAL_ERR');
    stopped.thenNo('structure.fetched', 'descriptor.fetched');
  });
});

describe('paths', () => {
  it('show PAR as FAULT says, and the registers of the VATOS page by their names (6.3.40)', () => {
    const shown = (when: When, path: string): unknown => {
      const found = resolvePath(when.state, `smmu0.regs.${path}`);
      return isPathProblem(found) ? found.problem : found.value;
    };
    const good = asks(single, {});
    expect(shown(good, 'GATOS_PAR.ATTR')).toBe(0xff);
    const bad = good.when(ask({ address: 0x2000 }));
    expect(shown(bad, 'GATOS_PAR.FAULTCODE')).toBe(eventRecords.F_TRANSLATION.number);
    const vatos = asks([nested, write('VATOS_SEL', VMID + 1)], { group: 'VATOS' });
    expect(shown(vatos, 'VATOS_PAR.FAULTCODE')).toBe(eventRecords.C_BAD_STE.number);
  });
});

describe('the VATOS page (9.1.6)', () => {
  const select = (vmid: number): Stimulus => write('VATOS_SEL', vmid);
  const rows: readonly [what: string, past: Asked, request: Request, expected: string][] = [
    ['a nested stream of the VMID', [nested, select(VMID)], {}, '0x5000'],
    ['a nested stream of another VMID', [nested, select(VMID + 1)], {}, 'C_BAD_STE'],
    ['a stage 1 stream is tagged too', [single, stream(ste({ S2VMID: 7 })), select(7)], {}, '0x5000'],
    ['a stage 1 stream of another VMID', [single, stream(ste({ S2VMID: 7 })), select(0)], {}, 'C_BAD_STE'],
    ['a stage 2 stream has no stage 1', [only2, select(VMID)], {}, 'INV_STAGE'],
    ['a stage 2 stream of another VMID', [only2, select(0)], {}, 'C_BAD_STE'],
    [
      'a stream that bypasses has no VMID',
      [bringUp(), stream(ste({ Config: 'BYPASS' })), select(0)],
      {},
      'C_BAD_STE',
    ],
    [
      'a stream that aborts has no VMID',
      [bringUp(), stream(ste({ Config: 'ABORT' })), select(0)],
      {},
      'C_BAD_STE',
    ],
    ['an EL2 stream has no VMID', [single, stream(ste({ STRW: 'NS_EL2' })), select(0)], {}, 'C_BAD_STE'],
    ['TYPE 2 before all else', [nested, select(0)], { type: 'S2', streamId: 0x4000 }, 'INV_REQ'],
    ['TYPE 3 before all else', [nested, select(VMID)], { type: 'S1S2' }, 'INV_REQ'],
    ['the StreamID before the VMID', [nested, select(0)], { streamId: 0x4000 }, 'C_BAD_STREAMID'],
    ['stage 2 of the CD', [nested, select(VMID), s2Unmap(at.cd)], {}, 'F_CD_FETCH'],
    ['stage 2 of a table', [nested, select(VMID), s2Unmap(at.table)], {}, 'F_WALK_EABT'],
    ['a fault of stage 1', [nested, select(VMID)], { address: 0x2000 }, 'F_TRANSLATION'],
  ];
  it.each(rows)('%s', (_, past, request, expected) => {
    const told = answer(asks(past, { ...request, group: 'VATOS' }));
    expect(told.split(' ')[0]).toBe(expected);
    expect(told).not.toContain('reason');
  });
});
