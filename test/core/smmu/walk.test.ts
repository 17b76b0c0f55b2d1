/**
 * Single cases of the stage 1 walk that a reader can check by hand (IHI 0070 3.4; Arm
 * ARM D8.2 to D8.7): where each level reads, the two halves, TBI, sizes, and what the model ignores.
 * The random comparison with another walker stands in walk-reference.test.ts.
 */
import { describe, expect, it } from 'vitest';
import { attributeBits, controlled, type PermissionAccess, permits } from '../../../core/smmu/attributes.ts';
import { CD } from '../../../core/smmu/cd.ts';
import { granules, startLevel } from '../../../core/smmu/granule.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  ASID,
  at,
  bringUp,
  cd,
  command,
  dma,
  issue,
  leafPa,
  machine,
  map,
  PAGE_RW,
  SID,
  store,
  storeWords,
  tables,
} from '../../support/build.ts';
import { type Given, given, on } from '../../support/given.ts';
import { idr, put, table } from '../../support/tables.ts';

const RAM = [{ base: 0, size: 2 ** 48 }];

function context(fields: string, features = '', ...more: readonly (Stimulus | readonly Stimulus[])[]): Given {
  const config = machine(
    { ram: RAM },
    { idr: idr(`TTENDIAN=0 ${features}`), caches: { ste: 0, cd: 0, tlb: 0, walk: 0 } },
  );
  return on(config).given(bringUp(), tables(), storeWords(at.cd, put(CD.fields, cd(), fields)), more);
}

describe('start levels (7.3)', () => {
  const rows = table<'granule' | 'level' | 'first' | 'last'>(`
    granule | level | first | last
    12      | -1    | 12    | 15
    12      | 0     | 16    | 24
    12      | 1     | 25    | 33
    12      | 2     | 34    | 42
    12      | 3     | 43    | 48
    14      | 0     | 12    | 16
    14      | 1     | 17    | 27
    14      | 2     | 28    | 38
    14      | 3     | 39    | 48
    16      | 1     | 12    | 21
    16      | 2     | 22    | 34
    16      | 3     | 35    | 47
  `);
  it.each(rows)(
    'granule 2^$granule: level $level for TxSZ $first to $last',
    ({ granule, level, first, last }) => {
      for (let tsz = Number(first); tsz <= Number(last); tsz += 1)
        expect([tsz, startLevel(granules[Number(granule) as 12], 64 - tsz)]).toEqual([tsz, Number(level)]);
    },
  );
});

describe('each page and block', () => {
  // `reads`: level@address of every descriptor, all tables leading to the next at 0x200000, 0x210000, ...
  const rows = table<'cd' | 'iova' | 'leaf' | 'reads' | 'pa'>(`
    cd                | iova           | leaf  | reads                                              | pa
    T0SZ=16 TG0=4KB   | 0x8080604567   | 3     | 0@0x200008 1@0x210010 2@0x220018 3@0x230020        | 0x7000000567
    T0SZ=16 TG0=4KB   | 0x8080604567   | 2     | 0@0x200008 1@0x210010 2@0x220018                   | 0x7000004567
    T0SZ=16 TG0=4KB   | 0x8080604567   | 1     | 0@0x200008 1@0x210010                              | 0x7000604567
    T0SZ=25 TG0=4KB   | 0x80604567     | 3     | 1@0x200010 2@0x210018 3@0x220020                   | 0x7000000567
    T0SZ=39 TG0=4KB   | 0x604567       | 3     | 2@0x200018 3@0x210020                              | 0x7000000567
    T0SZ=48 TG0=4KB   | 0x4567         | 3     | 3@0x200020                                         | 0x7000000567
    T0SZ=16 TG0=16KB  | 0x800004567    | 3     | 0@0x200000 1@0x210000 2@0x222000 3@0x230008        | 0x7000000567
    T0SZ=17 TG0=16KB  | 0x800004567    | 2     | 1@0x200000 2@0x212000                              | 0x7000004567
    T0SZ=28 TG0=16KB  | 0x800004567    | 3     | 2@0x202000 3@0x210008                              | 0x7000000567
    T0SZ=16 TG0=64KB  | 0x40020014567  | 3     | 1@0x200008 2@0x210008 3@0x220008                   | 0x7000004567
    T0SZ=16 TG0=64KB  | 0x40020014567  | 2     | 1@0x200008 2@0x210008                              | 0x7000014567
    T0SZ=22 TG0=64KB  | 0x20014567     | 3     | 2@0x200008 3@0x210008                              | 0x7000004567
    T0SZ=35 TG0=64KB  | 0x14567        | 3     | 3@0x200008                                         | 0x7000004567
  `);
  it.each(rows)('$cd, $iova, leaf at level $leaf', ({ cd: fields, iova, leaf, reads, pa }) => {
    const steps = reads.split(/\s+/).map((step) => step.split('@').map(Number));
    const filled = steps.map(([level, address], index) => {
      const last = String(level) === leaf;
      const next = BigInt(0x20_0000 + (index + 1) * 0x1_0000) | 3n;
      return store(address ?? 0, last ? (0x70_0000_0000n | PAGE_RW) & (leaf === '3' ? ~0n : ~2n) : next);
    });
    const bits = { '4KB': 12, '16KB': 14, '64KB': 16 };
    const answer = context(`${fields} TTB0=0x200000 IPS=5`, 'STT=1', filled).when(
      dma(BigInt(iova), 'read', 1),
    );
    expect(answer.of('descriptor.fetched').map((read) => [read.level, read.pa])).toEqual(steps);
    const granule = fields.split('TG0=')[1] as keyof typeof bits;
    const size = bits[granule] + (bits[granule] - 3) * (3 - Number(leaf));
    const offset = BigInt.asUintN(size, BigInt(iova));
    // The leaf's base is aligned down to its span, whatever lies in its low address bits.
    expect(Number(((0x70_0000_0000n >> BigInt(size)) << BigInt(size)) + offset)).toBe(
      answer.of('access.completed')[0]?.pa,
    );
    if (leaf === '3') expect(answer.of('access.completed')[0]?.pa).toBe(Number(pa));
  });
});

describe('the range of an input address', () => {
  const rows = table<'cd' | 'iova' | 'verdict'>(`
    cd                             | iova               | verdict
    T0SZ=25                        | 0x7fffffffff       | in
    T0SZ=25                        | 0x8000000000       | the address is beyond T0SZ
    T0SZ=25                        | 0xff00000000000000 | the address is beyond T0SZ
    T0SZ=25 TBI0=1                 | 0xff00000000000000 | in
    T0SZ=25 TBI0=1                 | 0xff40000000000000 | the address is beyond T0SZ
    T0SZ=25 TBI1=1                 | 0xff00000000000000 | the address is beyond T0SZ
    EPD1=0 TG1=4KB T1SZ=25         | 0xffffff8000000000 | in
    EPD1=0 TG1=4KB T1SZ=25         | 0xffffff7fffffffff | the address is beyond T1SZ
    EPD1=0 TG1=4KB T1SZ=25         | 0x00ffff8000000000 | the address is beyond T1SZ
    EPD1=0 TG1=4KB T1SZ=25 TBI1=1  | 0x00ffff8000000000 | in
    EPD1=0 TG1=4KB T1SZ=25 TBI1=1  | 0x5affffffffffffff | in
    EPD1=0 TG1=4KB T1SZ=25 TBI1=1  | 0x5a80000000000000 | the address is beyond T1SZ
    EPD1=1                         | 0xffffff8000000000 | EPD1=1
    EPD0=1                         | 0x0                | EPD0=1
    E0PD0=1                        | 0x0                | E0PD0=1
    EPD1=0 TG1=4KB T1SZ=16 E0PD0=1 | 0xffff800000000000 | in
    EPD1=0 TG1=4KB T1SZ=16 E0PD1=1 | 0xffff800000000000 | E0PD1=1
  `);
  it.each(rows)('$cd: $iova $verdict', ({ cd: fields, iova, verdict }) => {
    const answer = context(fields).when(dma(BigInt(iova), 'read', 1));
    const refused = answer.of('access.terminated').filter(({ reason }) => /beyond T|EPD|E0PD/.test(reason));
    expect(refused.map(({ reason }) => reason)).toEqual(
      verdict === 'in' ? [] : [`F_TRANSLATION: ${verdict}`],
    );
    if (verdict !== 'in') answer.thenNo('descriptor.fetched');
  });

  it('E0PD lets privileged accesses through, and is RES0 without IDR3.E0PD', () => {
    const privileged = { ...dma(0x1000), privileged: true } as Stimulus;
    context('E0PD0=1', '', map(0x1000, at.data)).when(privileged).thenOutcome({ result: 'ok' });
    context('E0PD0=1', 'E0PD=0', map(0x1000, at.data)).when(dma(0x1000)).thenOutcome({ result: 'ok' });
  });
});

describe('what a bit of a descriptor does', () => {
  const bit = (at: number): bigint => 1n << BigInt(at);
  it.each([
    ['Contiguous', bit(52)],
    ['DBM', bit(51)],
    ['GP', bit(50)],
    ['NS', bit(5)],
    ['SW', 0xfn << 55n],
    ['PBHA', 0xfn << 59n],
    ['AttrIndx', 7n << 2n],
    ['bits above the address', bit(48) | bit(49)],
  ])('%s has no effect on the result', (_, bits) => {
    context('', '', map(0x1000, at.data, PAGE_RW | bits))
      .when(dma(0x1000, 'write'))
      .thenOutcome({ result: 'ok', pa: at.data });
  });

  it('AF=0 is F_ACCESS and not cached; AFFD lets it be', () => {
    const flagless = PAGE_RW & ~bit(10);
    const refused = given(bringUp(), tables(), map(0x1000, at.data, flagless))
      .when(dma(0x1000))
      .thenOutcome({ event: 'F_ACCESS' });
    expect(refused.of('tlb.filled').filter(({ leaf }) => leaf)).toEqual([]);
    refused.when(map(0x1000, at.data), dma(0x1000)).thenOutcome({ result: 'ok' });
    context('AFFD=1', '', map(0x1000, at.data, flagless))
      .when(dma(0x1000))
      .thenOutcome({ result: 'ok' });
  });

  it('tables are read in the byte order of ENDI', () => {
    const swap = (value: bigint): bigint => {
      const view = new DataView(new ArrayBuffer(8));
      view.setBigUint64(0, value, true);
      return view.getBigUint64(0);
    };
    const big = [0, 1, 2].map((level) =>
      store(at.table + level * 0x1000, swap(BigInt(at.table + (level + 1) * 0x1000) | 3n)),
    );
    context('ENDI=1', '', big, store(leafPa(0x1000), swap(BigInt(at.data) | PAGE_RW)))
      .when(dma(0x1000))
      .thenOutcome({ result: 'ok', pa: at.data });
  });

  it('tables take rights away, unless HAD says not', () => {
    const readOnly = store(at.table, BigInt(at.table + 0x1000) | bit(62) | 3n);
    context('', '', map(0x1000, at.data), readOnly)
      .when(dma(0x1000, 'write'))
      .thenOutcome({ event: 'F_PERMISSION' });
    context('HAD0=1', '', map(0x1000, at.data), readOnly)
      .when(dma(0x1000, 'write'))
      .thenOutcome({ result: 'ok' });
    context('HAD0=1', 'HAD=0', map(0x1000, at.data), readOnly)
      .when(dma(0x1000, 'write'))
      .thenOutcome({ event: 'F_PERMISSION' });
  });
});

describe('permissions (7.6), by AP[2:1]', () => {
  // Columns: privileged read, write, execute; unprivileged read, write, execute.
  const rows = table<'AP' | 'more' | 'rights'>(`
    AP | more       | rights
    00 | -          | rwx --x
    01 | -          | rw- rwx
    10 | -          | r-x --x
    11 | -          | r-x r-x
    00 | PXN        | rw- --x
    11 | UXN        | r-x r--
    11 | PXN UXN    | r-- r--
    01 | wxn        | rw- rw-
    00 | wxn        | rw- --x
    11 | wxn        | r-x r-x
    00 | pan        | rwx --x
    01 | pan        | --- rwx
    11 | pan        | --x r-x
    10 | pan        | r-x --x
    10 | pan epan   | --x --x
    10 | pan epan UXN | r-x ---
    00 | el2        | rwx rwx
    10 | el2        | r-x r-x
    10 | el2 UXN    | r-- r--
    00 | el2 wxn    | rw- rw-
    11 | el2 pan PXN | r-x r-x
  `);
  it.each(rows)('$AP $more: $rights', ({ AP, more, rights }) => {
    const has = (name: string): boolean => more.split(' ').includes(name);
    const { AP1, AP2, PXN, UXN } = attributeBits;
    const attributes =
      (AP[1] === '1' ? AP1 : 0) | (AP[0] === '1' ? AP2 : 0) | (has('PXN') ? PXN : 0) | (has('UXN') ? UXN : 0);
    const hd = has('hd');
    const held = controlled(attributes, { wxn: has('wxn'), pan: has('pan'), epan: has('epan'), hd });
    const may = (access: PermissionAccess, letter: string): string =>
      permits(held, access, { el2: has('el2'), hd }) ? letter : '-';
    const column = (privileged: boolean): string =>
      may({ write: false, exec: false, privileged }, 'r') +
      may({ write: true, exec: false, privileged }, 'w') +
      may({ write: false, exec: true, privileged }, 'x');
    expect(`${column(true)} ${column(false)}`).toBe(rights);
  });
});

describe('the upper half', () => {
  const upper = 0xffff_0000_0000_1000n;
  const story = () =>
    given(
      bringUp(),
      tables(),
      map(0x1000, at.data),
      storeWords(at.cd, put(CD.fields, cd(), `EPD1=0 TG1=4KB T1SZ=16 TTB1=${at.table}`)),
      dma(upper),
    );

  it('has entries of its own in the TLB', () => {
    story()
      .when(dma(upper), dma(0x1000))
      .then({ type: 'access.completed', via: 'hit', iova: upper }, { type: 'access.completed', via: 'walk' });
  });

  it('is invalidated by its addresses, tables too (4.4.2)', () => {
    const fields = { ASID, Address: Number(upper - 0x1000n) + 0x1000 };
    const leaf = story().when(issue(0, command('CMD_TLBI_NH_VA', { ...fields, Leaf: true })), dma(upper));
    leaf.then({ type: 'cache.invalidated', cache: 'tlb' }, { type: 'access.completed', via: 'walk' });
    const all = story().when(issue(0, command('CMD_TLBI_NH_VA', fields)));
    expect(all.of('cache.invalidated').map(({ cache, removed }) => [cache, removed.length])).toEqual([
      ['walk', 3],
      ['tlb', 1],
    ]);
    story()
      .when(issue(0, command('CMD_TLBI_NH_VA', { ASID, Address: 0x1000 })))
      .thenNo('cache.invalidated');
  });

  it('has a StreamID like the rest', () => {
    expect(story().when(dma(upper)).of('access.completed')[0]?.streamId).toBe(SID);
  });
});
