/**
 * What answers to ATS Translation Requests grant (IHI 0070 3.13.7, 13.6, 13.7): permissions, addresses, sizes, and
 * what hardware writes into descriptors on the way.
 */
import { describe, expect, it } from 'vitest';
import { CD } from '../../../core/smmu/cd.ts';
import type { Ste } from '../../../core/smmu/ste.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { at, cd, leafPa, map, PAGE_RW, store, storeWords } from '../../support/build.ts';
import { atsStream, atsWorld, guestStream, IOVA, nestedStream, translate } from '../../support/endpoints.ts';
import { GUEST, guestMap, inGuest, S2_RW, s2LeafPa, s2Map, s2Unmap } from '../../support/nested.ts';
import { pairs, put, table } from '../../support/tables.ts';

const cdWith = (text: string): Stimulus => storeWords(at.cd, put(CD.fields, cd(), text));

describe('permissions (13.7)', () => {
  const AP = { rw: 1n, ro: 3n, 'priv-rw': 0n, 'priv-ro': 2n };
  const rows = table<'asked' | 'page' | 'ste' | 'gives'>(`
    asked       | page                | ste                 | gives
    r           | rw                  | -                   | rw
    w           | rw                  | -                   | rw
    w           | ro                  | -                   | r
    w           | priv-rw             | -                   |
    w p ssid    | priv-rw             | -                   | rwp
    w p         | priv-rw             | -                   |
    w p ssid    | priv-ro             | -                   | rp
    w ssid      | priv-rw             | -                   |
    p ssid      | rw                  | -                   | rwp
    x ssid      | rw                  | -                   | rwx
    x ssid      | ro UXN              | -                   | r
    x           | rw                  | -                   | rw
    x ssid      | priv-rw             | -                   |
    x p ssid    | priv-rw PXN         | -                   | rwp
    x p ssid    | priv-ro             | -                   | rxp
    r           | priv-rw             | INSTCFG=INSTRUCTION | r
    x ssid      | priv-rw             | INSTCFG=INSTRUCTION | rx
    x ssid      | rw UXN              | INSTCFG=INSTRUCTION | w
    x ssid      | rw UXN              | INSTCFG=DATA        | rwx
    w           | priv-rw             | PRIVCFG=PRIVILEGED  | rw
    w p ssid    | priv-rw             | PRIVCFG=UNPRIVILEGED | p
    w p ssid    | rw                  | PRIVCFG=UNPRIVILEGED | rwp
  `);
  const bits = (page: string): bigint => {
    const [ap = 'rw', ...never] = page.split(' ');
    let out = (PAGE_RW & ~(3n << 6n)) | (AP[ap as keyof typeof AP] << 6n);
    if (never.includes('UXN')) out |= 1n << 54n;
    if (never.includes('PXN')) out |= 1n << 53n;
    return out;
  };
  it.each(rows)('$asked of $page, $ste: "$gives"', ({ asked, page, ste: override, gives }) => {
    const flags = asked.split(' ');
    const fields = Object.fromEntries(pairs(override)) as Partial<Ste>;
    const contexts = storeWords(at.cd + 64, cd());
    const story = atsWorld([
      contexts,
      atsStream({ S1CDMax: 1, S1DSS: 'SUBSTREAM0', ...fields }),
      map(IOVA, at.data, bits(page)),
    ]).when(
      translate(IOVA, {
        access: flags.includes('w') ? 'write' : 'read',
        exec: flags.includes('x'),
        privileged: flags.includes('p'),
        ...(flags.includes('ssid') ? { ssid: 1 } : {}),
      }),
    );
    // The privilege is that of the request, whatever PRIVCFG says.
    const privileged = flags.includes('p') && flags.includes('ssid');
    const [answered] = story.of('ats.answered');
    expect(answered?.permissions).toBe(gives === '' && privileged ? 'p' : gives);
    story.thenOutcome({ result: 'ok', perms: gives.replace('p', '') });
  });

  it('are those of both stages, whichever way the answer is given', () => {
    for (const eats of ['FULL', 'SPLIT'] as const) {
      const story = atsWorld([
        guestStream(),
        nestedStream({ EATS: eats }),
        s2Map(0x5000, undefined, S2_RW & ~0x80n),
      ]);
      story.when(translate(IOVA, { access: 'write' })).thenOutcome({ result: 'ok', perms: 'r' });
      const writeOnly = atsWorld([
        guestStream(),
        nestedStream({ EATS: eats }),
        s2Map(0x5000, undefined, S2_RW & ~0x40n),
      ]);
      writeOnly.when(translate(IOVA, { access: 'write' })).thenOutcome({ result: 'ok', perms: 'w' });
    }
  });

  it('stage 2 is not asked where stage 1 gives none (3.9.1.2)', () => {
    const story = atsWorld([guestStream(), guestMap(IOVA, 0x5000, PAGE_RW & ~(1n << 6n)), s2Unmap(0x5000)]);
    const asked = story.when(translate(IOVA, { access: 'write' })).thenOutcome({ result: 'ok', perms: '' });
    expect(asked.of('descriptor.fetched').some(({ pa }) => pa === s2LeafPa(0x5000))).toBe(false);
  });

  it('write permission without being asked is a choice: grantWriteUnasked', () => {
    const thrifty = { smmu: { choices: { grantWriteUnasked: false } } };
    atsWorld([], thrifty).when(translate(IOVA)).thenOutcome({ perms: 'r' });
    atsWorld([], thrifty)
      .when(translate(IOVA, { access: 'write' }))
      .thenOutcome({ perms: 'rw' });
  });
});

describe('hardware update of descriptors (3.13.7)', () => {
  const DBM = 1n << 51n;
  const CLEAN = (PAGE_RW | (1n << 7n) | DBM) & ~(1n << 10n);
  const rows = table<'asked' | 'cd' | 'gives' | 'af' | 'dirty'>(`
    asked | cd      | gives | af | dirty
    write | HA HD   | rw    | 1  | 1
    read  | HA HD   | r     | 1  | 0
    write | HA      | r     | 1  | 0
    read  | HA      | r     | 1  | 0
    write | -       |       | 0  | 0
    write | AFFD    | r     | 0  | 0
  `);
  it.each(rows)('$asked with $cd gives "$gives"', ({ asked, cd: fields, gives, af, dirty }) => {
    const story = atsWorld([cdWith(fields), map(IOVA, at.data, CLEAN)]).when(
      translate(IOVA, { access: asked as 'read' | 'write' }),
    );
    story.thenOutcome({ result: 'ok', perms: gives });
    const leaf = story.state.memory.read64(leafPa(IOVA));
    expect({ af: (leaf >> 10n) & 1n, clean: (leaf >> 7n) & 1n }).toEqual({
      af: BigInt(af),
      clean: dirty === '1' ? 0n : 1n,
    });
  });

  it('leaves AF alone where nothing is granted', () => {
    const bits = PAGE_RW & ~(1n << 10n) & ~(1n << 6n);
    atsWorld([cdWith('HA HD'), map(IOVA, at.data, bits)])
      .when(translate(IOVA, { access: 'write' }))
      .thenOutcome({ perms: '' })
      .thenNo('memory.written');
  });

  it('does not mark stage 2 dirty for a page that stage 1 makes read-only', () => {
    const S2_CLEAN = (S2_RW & ~0x80n) | DBM;
    const asked = (bits: bigint): bigint => {
      const story = atsWorld([
        guestStream(),
        nestedStream({ S2HA: true, S2HD: true }),
        guestMap(IOVA, 0x5000, bits),
        s2Map(0x5000, undefined, S2_CLEAN),
      ]).when(translate(IOVA, { access: 'write' }));
      return (story.state.memory.read64(s2LeafPa(0x5000)) >> 7n) & 1n;
    };
    expect(asked(PAGE_RW)).toBe(1n);
    expect(asked(PAGE_RW | (1n << 7n))).toBe(0n);
  });
});

describe('address and size', () => {
  const BLOCK = 0x20_0000;
  /** Level 2 descriptor of the second 2 MiB. */
  const block = store(at.table + 0x2000 + 8, BigInt(0x4000_0000) | (PAGE_RW & ~2n));

  it('the span is the leaf, the address that of the page asked', () => {
    atsWorld(block)
      .when(translate(BLOCK + 0x3123))
      .thenOutcome({ result: 'ok', pa: 0x4000_3123, bytes: BLOCK, perms: 'rw' })
      .then({ type: 'ats.answered', iova: BigInt(BLOCK), pa: 0x4000_0000, sizeLog2: 21 });
  });

  it('nested, it is the smaller leaf', () => {
    const guestBlock = inGuest(store(at.table + 0x2000 + 8, BigInt(0x60_0000) | (PAGE_RW & ~2n)));
    atsWorld([guestStream(), guestBlock])
      .when(translate(BLOCK + 0x3000))
      .thenOutcome({ pa: GUEST + 0x60_3000, bytes: 4096 });
  });

  it('split stage answers with the IPA, full with the PA', () => {
    atsWorld(guestStream())
      .when(translate(IOVA))
      .thenOutcome({ pa: GUEST + 0x5000, bytes: 4096 });
    for (const combinedEntries of [true, false]) {
      const parts = { smmu: { choices: { combinedEntries } } };
      const split = atsWorld([guestStream(), nestedStream({ EATS: 'SPLIT' })], parts);
      const twice = split.when(translate(IOVA)).thenOutcome({ pa: 0x5000, bytes: 4096 });
      // From the TLB too.
      twice.when(translate(IOVA)).thenOutcome({ pa: 0x5000, bytes: 4096 });
    }
  });

  it('S1DSS=1 without a SubstreamID skips stage 1 (13.6.4, 13.6.5)', () => {
    const bypass = { S1CDMax: 1, S1DSS: 'BYPASS' } as const;
    atsWorld(atsStream(bypass))
      .when(translate(0x1234_5000, { access: 'read' }))
      .thenOutcome({ result: 'ok', pa: 0x1234_5000, bytes: 2 ** 48, perms: 'rw' });
    atsWorld([guestStream(), nestedStream(bypass)])
      .when(translate(0x5000))
      .thenOutcome({ pa: GUEST + 0x5000, perms: 'rw' });
    const readOnly = s2Map(0x5000, undefined, S2_RW & ~0x80n);
    atsWorld([guestStream(), nestedStream({ ...bypass, EATS: 'SPLIT' }), readOnly])
      .when(translate(0x5000, { access: 'write' }))
      .thenOutcome({ pa: 0x5000, bytes: 4096, perms: 'r' });
  });

  it('one entry for each translation of the first size, up to the first page that differs', () => {
    const four = [0, 1, 2, 4].map((page) => map(IOVA + page * 4096, at.data + page * 0x10_000));
    const story = atsWorld(four).when(translate(IOVA, { size: 0x5000 }));
    expect(story.outcome).toMatchObject({
      pa: at.data,
      bytes: 4096,
      entries: [0, 1, 2].map((page) => ({
        iova: BigInt(IOVA + page * 4096),
        pa: at.data + page * 0x10_000,
        bytes: 4096,
        perms: 'rw',
      })),
    });
    expect(story.of('atc.filled')).toHaveLength(3);
    // A larger leaf gives a part of itself; a smaller one ends the completion.
    const last = atsWorld([block, map(0x1f_f000, at.data)]);
    const grown = last.when(translate(0x1f_f000, { size: 0x3000 }));
    expect(grown.of('ats.answered').map(({ pa, sizeLog2 }) => [pa, sizeLog2])).toEqual([
      [at.data, 12],
      [0x4000_0000, 12],
      [0x4000_1000, 12],
    ]);
    expect(grown.outcome).toMatchObject({ pa: at.data });
    const small = atsWorld([block, store(at.table + 0x2000 + 16, BigInt(at.table + 0x3000) | 3n)]);
    expect(small.when(translate(BLOCK, { size: 2 * BLOCK })).of('ats.answered')).toHaveLength(1);
    expect(
      atsWorld(four)
        .when(translate(IOVA, { size: 0x1000 }))
        .of('ats.answered'),
    ).toHaveLength(1);
    expect(
      atsWorld(four)
        .when(translate(IOVA + 0xfff, { size: 2 }))
        .of('ats.answered'),
    ).toHaveLength(2);
  });

  it('a completion has sixteen entries at most', () => {
    const many = Array.from({ length: 40 }, (_, page) => map(IOVA + page * 4096, at.data));
    expect(
      atsWorld(many)
        .when(translate(IOVA, { size: 40 * 4096 }))
        .of('ats.answered'),
    ).toHaveLength(16);
  });

  it('STU is the smallest granule: refusals have its size', () => {
    const parts = { idr: 'GRAN4K=0' };
    // A table of 16 KiB pages that maps nothing.
    const story = atsWorld(cdWith('TG0=2'), parts).when(translate(0x1_0000_0000));
    story.thenOutcome({ result: 'ok', bytes: 2 ** 14, perms: '' });
  });
});
