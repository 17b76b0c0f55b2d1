/**
 * Reads ahead: CMD_PREFETCH_CONFIG and CMD_PREFETCH_ADDR (IHI 0070 4.2), and what hardware may fetch of its own
 * (3.21, the choices `prefetchTranslations` and `prefetchConfiguration`). They fill caches; they end no access,
 * record nothing, and mark nothing dirty (3.14).
 */
import { describe, expect, it } from 'vitest';
import { CD } from '../../../core/smmu/cd.ts';
import { commandLayouts } from '../../../core/smmu/command-layout.ts';
import { STE } from '../../../core/smmu/ste.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  at,
  bringUp,
  cd,
  command,
  dma,
  leafPa,
  machine,
  map,
  PAGE_RW,
  SID,
  ste,
  storeWords,
  tables,
  write,
} from '../../support/build.ts';
import { type Given, on, type When } from '../../support/given.ts';
import {
  GUEST,
  guestMap,
  inGuest,
  nestedBringUp,
  nestedMachine,
  s2LeafPa,
  s2Map,
} from '../../support/nested.ts';
import { give } from '../../support/stalling.ts';
import { idr, put, table } from '../../support/tables.ts';

const AF = 1n << 10n;
const DBM = 1n << 51n;
const READ_ONLY = 1n << 7n;
const nothing = ['access.completed', 'access.terminated', 'access.stalled', 'record.raised'] as const;
const filled = (story: When): string =>
  [...story.of('config.filled'), ...story.of('tlb.filled')]
    .sort((a, b) => a.seq - b.seq)
    .map(({ cache }) => cache)
    .join(' ');

interface World {
  readonly ste?: string;
  readonly cd?: string;
  readonly more?: readonly Stimulus[];
  readonly choices?: Readonly<Record<string, boolean>>;
}

/** Stage 1 with pages 1 to 8 mapped, unless the world says otherwise. */
function world({ ste: steFields = '', cd: cdFields = '', more = [], choices = {} }: World): Given {
  const pages = [1, 2, 3, 4, 5, 6, 7, 8].map((page) => map(page * 0x1000, at.data + page * 0x1000));
  return on(machine({}, { idr: idr('HTTU=2'), choices })).given(
    bringUp(),
    tables(),
    pages,
    storeWords(at.strtab + SID * 64, put(STE.fields, ste(), steFields)),
    storeWords(at.cd, put(CD.fields, cd(), cdFields)),
    more,
  );
}

describe('CMD_PREFETCH_CONFIG (4.2.1)', () => {
  const config = (fields: string): Stimulus[] =>
    give(
      put(
        commandLayouts.CMD_PREFETCH_CONFIG.layout.fields,
        command('CMD_PREFETCH_CONFIG', { StreamID: SID }),
        fields,
      ),
    );
  const rows = table<'ste' | 'cd' | 'fields' | 'fills'>(`
    ste                   | cd  | fields                | fills
                          |     |                       | ste cd
    Config=ABORT          |     |                       | ste
    Config=BYPASS         |     |                       | ste
    V=0                   |     |                       | ste
    S1Fmt=3 S1CDMax=31    |     |                       | ste
                          | V=0 |                       | ste cd
                          |     | SSV=1 SubstreamID=2   | ste
    S1CDMax=4             |     | SSV=1 SubstreamID=0   | ste cd
    S1CDMax=4             |     | SSV=1 SubstreamID=16  | ste
    S1CDMax=4             |     |                       | ste
    S1CDMax=4 S1DSS=1     |     |                       | ste
    S1CDMax=4 S1DSS=2     |     |                       | ste cd
    S1CDMax=7 S1Fmt=1     |     | SSV=1 SubstreamID=0   | ste l1cd
    S1ContextPtr=0x2000000000 | |                       | ste
                          |     | StreamID=0x1000       |
  `);
  it.each(rows)('$ste $cd $fields: $fills', ({ ste: steFields, cd: cdFields, fields, fills }) => {
    const story = world({ ste: steFields, cd: cdFields }).when(config(fields));
    expect(filled(story)).toBe(fills);
    story.then({ type: 'command.performed' }).thenNo(...nothing, 'descriptor.fetched');
  });

  it('fetches nothing twice', () => {
    world({}).given(config('')).when(config('')).thenNo('structure.fetched', 'config.filled');
  });

  it('does nothing while SMMUEN=0', () => {
    world({}).given(write('CR0', 0xc)).when(config('')).thenNo('structure.fetched');
  });

  it('makes an STE that is invalid now stay so until it is invalidated (3.21.3)', () => {
    world({ ste: 'V=0' })
      .given(config(''), storeWords(at.strtab + SID * 64, ste()))
      .when(dma(0x1000), give(command('CMD_CFGI_STE', { StreamID: SID, Leaf: true })), dma(0x1000))
      .then({ type: 'record.raised', record: 'C_BAD_STE' }, { type: 'access.completed' });
  });

  it('sets AF of stage 2 for the page of a CD, where hardware does that', () => {
    const clear = s2Map(at.cd, GUEST + at.cd, (0x7fdn | 2n) & ~AF);
    const of = (S2HA: boolean): When =>
      on(nestedMachine()).given(nestedBringUp({ S2HA }), clear).when(config(''));
    const told = of(true);
    expect(filled(told)).toBe('ste walk walk walk tlb cd');
    expect(told.state.memory.read64(s2LeafPa(at.cd)) & AF).toBe(AF);
    // Without, the CD cannot be reached, and nobody is told.
    const refused = of(false);
    expect(refused.state.memory.read64(s2LeafPa(at.cd)) & AF).toBe(0n);
    refused.thenNo(...nothing);
    expect(filled(refused)).toBe('ste walk walk walk');
  });
});

describe('CMD_PREFETCH_ADDR (4.2.2)', () => {
  const addr = (fields: string): Stimulus[] =>
    give(
      put(
        commandLayouts.CMD_PREFETCH_ADDR.layout.fields,
        command('CMD_PREFETCH_ADDR', { StreamID: SID }),
        fields,
      ),
    );
  const pagesOf = (story: When): string =>
    story
      .of('tlb.filled')
      .filter(({ leaf }) => leaf)
      .map(({ va }) => Number(va / 0x1000n))
      .join(' ');
  const rows = table<'fields' | 'cd' | 'pages'>(`
    fields                          | cd     | pages
    Address=0x1000                  |        | 1
    Address=0x1000 Size=1           |        | 1 2
    Address=0x1000 Size=2           |        | 1 2 3 4
    Address=0x1000 Size=2 Stride=1  |        | 1 3 5 7
    Address=0x1000 Size=1 Stride=2  |        | 1 5
    Address=0x6000 Size=3           |        | 6 7 8
    Address=0x9000 Size=3           |        |
    Address=0x1000 Size=31          |        | 1 2 3 4 5 6 7 8
    Address=0x1000000000000         |        |
    Address=0xffff000000001000      |        |
    Address=0xfffffffffffff000 Size=2 |      |
    Address=0x1000 SSV=1 SubstreamID=1 |     |
    Address=0x1000                  | V=0    |
    Address=0x1000                  | EPD0=1 |
  `);
  it.each(rows)('$fields $cd: pages $pages', ({ fields, cd: cdFields, pages }) => {
    const story = world({ cd: cdFields }).when(addr(fields));
    expect(pagesOf(story)).toBe(pages);
    story.then({ type: 'command.performed' }).thenNo(...nothing);
  });

  it('lets the accesses that follow hit', () => {
    const story = world({})
      .given(addr('Address=0x1000 Size=2'))
      .when(dma(0x1000, 'read', 0x4000));
    expect(story.of('access.completed').map(({ via }) => via)).toEqual(['hit', 'hit', 'hit', 'hit']);
    story.thenNo('structure.fetched', 'descriptor.fetched');
  });

  it('stops early: no more than 64 translations', () => {
    const pages = Array.from({ length: 100 }, (_, page) => map(page * 0x1000, at.data));
    const story = world({ more: pages }).when(addr('Size=10'));
    expect(story.of('tlb.filled').filter(({ leaf }) => leaf)).toHaveLength(64);
  });

  it('does nothing while SMMUEN=0', () => {
    world({}).given(write('CR0', 0xc)).when(addr('Address=0x1000')).thenNo('structure.fetched', 'tlb.filled');
  });

  const httu = table<'cd' | 'bits' | 'after' | 'fills'>(`
    cd        | bits       | after      | fills
    HA=1      | clear      | accessed   | 1
    HA=0      | clear      | clear      |
    HA=1 HD=1 | DBM        | DBM        | 1
    HA=1 HD=1 | DBM clear  | DBM        | 1
  `);
  const bitsOf = (text: string): bigint =>
    (PAGE_RW | (text.includes('DBM') ? DBM | READ_ONLY : 0n)) & ~(text.includes('clear') ? AF : 0n);
  it.each(httu)(
    'as a speculative read, $cd: a leaf $bits becomes $after',
    ({ cd: cdFields, bits, after, fills }) => {
      const story = world({ cd: cdFields, more: [map(0x1000, at.data, bitsOf(bits))] }).when(
        addr('Address=0x1000'),
      );
      const expected = BigInt(at.data) | bitsOf(after === 'accessed' ? '' : after);
      expect(story.state.memory.read64(leafPa(0x1000))).toBe(expected);
      expect(pagesOf(story)).toBe(fills);
      story.thenNo(...nothing);
    },
  );

  it('goes through both stages', () => {
    const story = on(nestedMachine())
      .given(nestedBringUp(), guestMap(0x1000, at.data))
      .when(addr('Address=0x1000'), dma(0x1000));
    story.then({ type: 'command.performed' }, { type: 'access.completed', via: 'hit', pa: GUEST + at.data });
  });

  it('of a stream that stalls does not stall (3.12)', () => {
    const story = on(nestedMachine({}, { idr: idr('S2P=1 VMID16=1 STALL_MODEL=0 STALL_MAX=4') }))
      .given(nestedBringUp({ S2S: true }), inGuest(storeWords(at.cd, put(CD.fields, cd(), 'S=1'))))
      .when(addr('Address=0x1000'));
    story.then({ type: 'command.performed' }).thenNo(...nothing);
  });
});

describe('prefetchTranslations', () => {
  const choices = { prefetchTranslations: true };
  const spans = (story: When): readonly bigint[] =>
    story.of('tlb.filled').flatMap(({ leaf, va }) => (leaf ? [va] : []));

  it('walks the next page after an access that walked, and only then', () => {
    const story = world({ choices }).when(dma(0x1000));
    expect(spans(story)).toEqual([0x1000n, 0x2000n]);
    // A hit fetches nothing.
    const hit = story.when(dma(0x2000), dma(0x1008));
    expect(hit.of('access.completed').map(({ via }) => via)).toEqual(['walk', 'hit', 'hit']);
    expect(spans(hit)).toEqual([0x1000n, 0x2000n]);
  });

  it('is off unless it is chosen', () => {
    expect(spans(world({}).when(dma(0x1000)))).toEqual([0x1000n]);
  });

  it('records no fault, and leaves all descriptors as they are', () => {
    const untouched = map(0x2000, at.data, PAGE_RW & ~AF);
    const story = world({ choices, cd: 'HA=1 HD=1', more: [untouched] }).when(dma(0x1000), dma(0x8000));
    expect(spans(story)).toEqual([0x1000n, 0x8000n]);
    expect(story.state.memory.read64(leafPa(0x2000)) & AF).toBe(0n);
    story.thenNo('record.raised', 'access.terminated');
  });

  it('what was fetched ahead goes with its invalidation', () => {
    const gone = [
      map(0x2000, at.data + 0x9000),
      give(command('CMD_TLBI_NH_VA', { ASID: 5, Address: 0x2000, Leaf: true })),
    ];
    world({ choices })
      .given(dma(0x1000), gone)
      .when(dma(0x2000))
      .then({ type: 'access.completed', via: 'walk', pa: at.data + 0x9000 });
  });
});

describe('prefetchConfiguration', () => {
  const choices = { prefetchConfiguration: true };
  const streams = (story: When): readonly number[] =>
    story.of('config.filled').flatMap(({ cache, streamId }) => (cache === 'ste' ? [streamId] : []));

  it('fetches the STE of the neighbouring StreamID, once', () => {
    const story = world({ choices }).when(dma(0x1000), dma(0x2000));
    expect(streams(story)).toEqual([SID, SID ^ 1]);
  });

  it('is off unless it is chosen', () => {
    expect(streams(world({}).when(dma(0x1000)))).toEqual([SID]);
  });

  it('of a neighbour that is not there says nothing', () => {
    // 9 StreamIDs in a table of 8 STEs and one: the neighbour lies outside RAM.
    const ram = [
      { base: 0, size: at.strtab + (SID + 1) * 64 },
      { base: at.cd, size: 2 ** 32 },
    ];
    const story = on(machine({ ram }, { idr: idr(''), choices }))
      .given(bringUp(), tables(), map(0x1000, at.data))
      .when(dma(0x1000));
    story
      .then({ type: 'access.completed' }, { type: 'fetch.aborted', structure: 'STE' })
      .thenNo('record.raised');
    expect(streams(story)).toEqual([SID]);
  });
});
