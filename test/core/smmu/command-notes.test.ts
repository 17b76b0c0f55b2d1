/**
 * What is wrong in a command that is legal all the same (IHI 0070 3.4.3, 4.1.5, 4.1.7, 4.4, 4.5): each row
 * of the table that tells it, whether the command has an effect then, and the choice to refuse reserved bits.
 */
import { describe, expect, it } from 'vitest';
import { illegalReason, scopesOf } from '../../../core/smmu/command.ts';
import { type CommandName, commandLayouts } from '../../../core/smmu/command-layout.ts';
import { commandNotes, hasNoEffect, notesOf } from '../../../core/smmu/command-notes.ts';
import { Features } from '../../../core/smmu/features.ts';
import { ASID, at, bringUp, command, dma, issue, machine, map, SID, tables } from '../../support/build.ts';
import { on, updated } from '../../support/given.ts';
import { idr, put, table } from '../../support/tables.ts';

const FULL = 'S2P=1 Hyp=1 ATS=1 PRI=1 STALL_MODEL=0 RIL=1 SIDSIZE=16 SSIDSIZE=8 ASID16=1 VMID16=1 OAS=4';

function wordsOf(name: string, fields: string): Uint32Array {
  const { layout, opcode } = commandLayouts[name as CommandName];
  const words = put(layout.fields, new Uint32Array(4), fields);
  words[0] = ((words[0] ?? 0) | opcode) >>> 0;
  return words;
}

const rows = table<'command' | 'fields' | 'features' | 'notes' | 'effect'>(`
  command             | fields                          | features    | notes                     | effect
  CMD_CFGI_STE        | StreamID=0xffff                 |             |                           | yes
  CMD_CFGI_STE        | StreamID=0x10000                |             | command-streamid-range    | none
  CMD_CFGI_STE        | StreamID=0x100                  | SIDSIZE=8   | command-streamid-range    | none
  CMD_CFGI_STE        | StreamID=0xffffffff             | SIDSIZE=32  |                           | yes
  CMD_CFGI_STE_RANGE  | StreamID=0x10000 Range=3        |             | command-streamid-range    | none
  CMD_CFGI_STE_RANGE  | StreamID=0x10000 Range=16       |             |                           | yes
  CMD_CFGI_STE_RANGE  | StreamID=0x20000 Range=16       |             | command-streamid-range    | none
  CMD_CFGI_STE_RANGE  | StreamID=0xffffffff Range=31    |             |                           | yes
  CMD_CFGI_CD         | StreamID=1 SubstreamID=255      |             |                           | yes
  CMD_CFGI_CD         | StreamID=1 SubstreamID=256      |             | command-substreamid-range | none
  CMD_CFGI_CD         | StreamID=1 SubstreamID=1        | SSIDSIZE=0  | command-substreamid-range | none
  CMD_CFGI_CD         | StreamID=1 SubstreamID=0        | SSIDSIZE=0  |                           | yes
  CMD_PREFETCH_CONFIG | SSV=1 SubstreamID=256           |             | command-substreamid-range | none
  CMD_PREFETCH_CONFIG | SSV=0 SubstreamID=256           |             |                           | yes
  CMD_PREFETCH_ADDR   | SSV=1 SubstreamID=1             | SSIDSIZE=0  | command-no-substreams     | none
  CMD_ATC_INV         | SSV=1 SubstreamID=1             | SSIDSIZE=0  | command-no-substreams     | none
  CMD_ATC_INV         | SSV=1 SubstreamID=0x100         |             | command-substreamid-range | none
  CMD_ATC_INV         | SSV=0 SubstreamID=0x100         |             |                           | yes
  CMD_PRI_RESP        | SSV=1                           | SSIDSIZE=0  | command-no-substreams     | none
  CMD_RESUME          | StreamID=0x10000                |             | command-streamid-range    | none
  CMD_STALL_TERM      | StreamID=0x10000                |             | command-streamid-range    | none
  CMD_TLBI_NH_ASID    | ASID=0x100                      |             |                           | yes
  CMD_TLBI_NH_ASID    | ASID=0x100                      | ASID16=0    | command-asid-8-bit        | none
  CMD_TLBI_NH_ASID    | ASID=0xff                       | ASID16=0    |                           | yes
  CMD_TLBI_EL2_VA     | ASID=0x1ff                      | ASID16=0    | command-asid-8-bit        | none
  CMD_TLBI_NH_ALL     | VMID=0x100                      |             |                           | yes
  CMD_TLBI_NH_ALL     | VMID=0x100                      | VMID16=0    | command-vmid-8-bit        | none
  CMD_TLBI_S12_VMALL  | VMID=0x8000                     | VMID16=0    | command-vmid-8-bit        | none
  CMD_TLBI_NH_ALL     | VMID=1                          | S2P=0       | command-vmid-no-stage-2   | yes
  CMD_TLBI_NH_ALL     | VMID=0x100                      | S2P=0 VMID16=0 | command-vmid-no-stage-2 | yes
  CMD_TLBI_NH_ALL     | VMID=0                          | S2P=0       |                           | yes
  CMD_TLBI_NH_VA      | Address=0x7fffffff0000          |             |                           | yes
  CMD_TLBI_NH_VA      | Address=0xffff800000000000      |             |                           | yes
  CMD_TLBI_NH_VA      | Address=0x1000000000000         |             | command-va-not-canonical  | yes
  CMD_TLBI_NH_VA      | Address=0xff00000000001000      |             | command-va-not-canonical  | yes
  CMD_TLBI_NH_VAA     | Address=0xfff8000000000000      | GRAN64K=1 VAX=1 |                       | yes
  CMD_TLBI_NH_VAA     | Address=0xfff0000000000000      |             | command-va-not-canonical  | yes
  CMD_TLBI_EL2_VAA    | Address=0x10000000000000        | VAX=1       | command-va-not-canonical  | yes
  CMD_TLBI_S2_IPA     | Address=0x8000000000000         |             |                           | yes
  CMD_ATC_INV         | Address=0x1000000000000         |             |                           | yes
  CMD_TLBI_NH_VA      | TG=1 TTL=2 Address=0x201000     |             | command-range-misaligned  | yes
  CMD_TLBI_NH_VA      | TG=1 TTL=2 Address=0x200000     |             |                           | yes
  CMD_TLBI_NH_VA      | TG=1 TTL=1 Address=0x200000     |             | command-range-misaligned  | yes
  CMD_TLBI_NH_VA      | TG=1 TTL=1 Address=0x40000000   |             |                           | yes
  CMD_TLBI_NH_VA      | TG=1 TTL=3 Address=0x201000     |             |                           | yes
  CMD_TLBI_NH_VA      | TG=1 NUM=1 Address=0x201000     |             |                           | yes
  CMD_TLBI_NH_VA      | TG=2 TTL=3 Address=0x4000       |             |                           | yes
  CMD_TLBI_NH_VA      | TG=2 TTL=3 Address=0x1000       |             | command-range-misaligned  | yes
  CMD_TLBI_NH_VA      | TG=2 NUM=1 Address=0x2000       |             | command-range-misaligned  | yes
  CMD_TLBI_NH_VA      | TG=2 TTL=2 Address=0x1000000    |             | command-range-misaligned  | yes
  CMD_TLBI_NH_VA      | TG=2 TTL=2 Address=0x2000000    |             |                           | yes
  CMD_TLBI_NH_VA      | TG=2 TTL=1 NUM=1 Address=0x4000 |             |                           | yes
  CMD_TLBI_NH_VA      | TG=2 TTL=1 Address=0x800000000  | DS=1        | command-range-misaligned  | yes
  CMD_TLBI_NH_VA      | TG=2 TTL=1 Address=0x1000000000 | DS=1        |                           | yes
  CMD_TLBI_NH_VA      | TG=3 TTL=3 Address=0x10000      |             |                           | yes
  CMD_TLBI_NH_VA      | TG=3 TTL=0 NUM=1 Address=0x8000 |             | command-range-misaligned  | yes
  CMD_TLBI_NH_VA      | TG=3 TTL=2 Address=0x10000000   |             | command-range-misaligned  | yes
  CMD_TLBI_NH_VA      | TG=3 TTL=2 Address=0x20000000   |             |                           | yes
  CMD_TLBI_NH_VA      | TG=3 TTL=1 Address=0x20000000000 |            | command-range-misaligned  | yes
  CMD_TLBI_NH_VA      | TG=3 TTL=1 Address=0x40000000000 |            |                           | yes
  CMD_TLBI_S2_IPA     | TG=1 TTL=2 Address=0x201000     |             | command-range-misaligned  | yes
  CMD_SYNC            | CS=1 MSIAddress=0xffffffffffc   |             |                           | yes
  CMD_SYNC            | CS=1 MSIAddress=0x100000000000  |             | address-beyond-oas        | yes
  CMD_SYNC            | CS=0 MSIAddress=0x100000000000  |             |                           | yes
`);

describe('a legal command', () => {
  it.each(rows)('$command $fields $features: $notes', ({ command, fields, features, notes, effect }) => {
    const words = wordsOf(command, fields);
    const found = new Features(idr(`${FULL} ${features}`));
    const refused = commandNotes.some(({ name, reserved }) => name === notes && reserved === true);
    expect(illegalReason(words, found)).toBeUndefined();
    expect(illegalReason(words, found, true) !== undefined).toBe(refused);
    expect(notesOf(words, found).map(({ note }) => note.name)).toEqual(notes === '' ? [] : [notes]);
    expect(hasNoEffect(words, found)).toBe(effect === 'none');
    const scopes = scopesOf(words, { features: found, e2h: false });
    if (effect === 'none') expect(scopes).toEqual([]);
    else if (/CFGI|TLBI/.test(command)) expect(scopes).not.toEqual([]);
  });

  it('has a row here or below for every row of the table', () => {
    const tested = new Set([...rows.map(({ notes }) => notes), 'command-reserved-bits']);
    expect(commandNotes.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual([]);
  });
});

describe('a range that is misaligned', () => {
  const range = (fields: string) => {
    const [scope] = scopesOf(wordsOf('CMD_TLBI_NH_VA', fields), {
      features: new Features(idr(FULL)),
      e2h: false,
    });
    return scope?.kind === 'tlb' ? scope.range : undefined;
  };

  it('begins where it should have, and ends where it would have (4.4.1.1)', () => {
    expect(range('TG=1 TTL=2 NUM=1 SCALE=9 Address=0x201000')).toEqual({
      start: 0x20_0000n,
      end: 0x60_1000n,
    });
    expect(range('TG=3 TTL=3 NUM=0 Address=0x18000')).toEqual({ start: 0x1_0000n, end: 0x2_8000n });
    expect(range('TG=1 TTL=3 NUM=2 Address=0x201000')).toEqual({ start: 0x20_1000n, end: 0x20_4000n });
  });
});

// Every bit of every command: what is no field is reserved (4.1.5).
describe('reserved bits', () => {
  const features = new Features(idr(`${FULL} MPAM=1 DPT=1 DS=1 D128=1`));
  const legal = Object.values(commandLayouts).filter(({ name }) => !/_EL3_|_S_|_SNH_/.test(name));

  it.each(legal)('of $name are told, and are CERROR_ILL where they are checked', ({ name, layout }) => {
    const used = new Set(
      Object.values(layout.fields).flatMap(({ hi, lo }) =>
        Array.from({ length: hi - lo + 1 }, (_, at) => lo + at),
      ),
    );
    let told = 0;
    for (let bit = 0; bit < 128; bit += 1) {
      if (used.has(bit)) continue;
      const words = wordsOf(name, '');
      words[bit >>> 5] = ((words[bit >>> 5] ?? 0) | (1 << (bit & 31))) >>> 0;
      expect(notesOf(words, features).map(({ note }) => note.name)).toEqual(['command-reserved-bits']);
      expect(illegalReason(words, features)).toBeUndefined();
      expect(illegalReason(words, features, true)).toContain('bits 0x');
      told += 1;
    }
    expect(told).toBe(128 - used.size);
  });

  const fields = table<'fields' | 'features' | 'reserved'>(`
    fields                 | features | reserved
    TG=1 NUM=1             | RIL=0    | TG
    NUM=1                  | RIL=0    | NUM
    SCALE=1                | RIL=0    | SCALE
    TTL=1                  | RIL=0    | TTL
    NUM=1                  |          | NUM
    SCALE=1                |          | SCALE
    TTL=3                  |          | TTL
    TG=1 NUM=1 SCALE=32    |          | SCALE
    TG=1 NUM=1 SCALE=32    | DS=1     |
    TG=1 TTL=3 TTL128=1    |          | TTL128
    TG=1 NUM=1 TTL128=1    | D128=1   | TTL128
    TG=1 TTL=3 TTL128=1    | D128=1   |
    TG=1 NUM=1 SCALE=1     |          |
  `);
  it.each(fields)(
    'of a TLBI with $fields $features: $reserved',
    ({ fields: set, features: text, reserved }) => {
      const words = wordsOf('CMD_TLBI_NH_VA', set);
      const found = new Features(idr(`${FULL} ${text}`));
      const note = notesOf(words, found).find(({ note: { name } }) => name === 'command-reserved-bits');
      expect(note?.detail).toBe(reserved === '' ? undefined : `CMD_TLBI_NH_VA: ${reserved} is RES0 here`);
      expect(illegalReason(words, found, true)).toBe(
        reserved === '' ? undefined : `${reserved} is RES0 here`,
      );
    },
  );
});

describe('in the queue', () => {
  const warm = (features = '', choices = {}) =>
    on(machine({}, { idr: idr(features), choices })).given(
      bringUp(),
      tables(),
      map(0x1000, at.data),
      dma(0x1000),
    );
  const stray = command('CMD_TLBI_NSNH_ALL');
  stray[3] = 0x8000_0000;

  it('a note comes before the command is consumed, and the command does its work', () => {
    warm().when(issue(0, stray)).then(
      {
        type: 'misuse.noted',
        rule: 'command-reserved-bits',
        detail: 'CMD_TLBI_NSNH_ALL: bits 0x80000000 of word 3',
      },
      { type: 'command.consumed', index: 0 },
      { type: 'cache.invalidated', cache: 'tlb' },
    );
  });

  it('strictReserved makes it CERROR_ILL, and nothing is noted', () => {
    const story = warm('', { strictReserved: true }).when(issue(0, stray));
    story.then({ type: 'command.rejected', error: 'CERROR_ILL' }, updated('CMDQ_CONS', 0x0100_0000));
    story.thenNo('cache.invalidated', 'misuse.noted', 'command.consumed');
  });

  it('a command without effect is consumed and performed all the same', () => {
    const story = warm('ASID16=0').when(issue(0, command('CMD_TLBI_NH_ASID', { ASID: ASID + 0x100 })));
    story.then(
      { type: 'misuse.noted', rule: 'command-asid-8-bit' },
      { type: 'command.consumed', index: 0 },
      { type: 'command.performed', index: 0 },
    );
    story.thenNo('cache.invalidated').when(dma(0x1000)).then({ type: 'access.completed', via: 'hit' });
  });

  it('a prefetch of a StreamID that there is not fetches nothing', () => {
    warm('SIDSIZE=8')
      .when(issue(0, command('CMD_PREFETCH_CONFIG', { StreamID: SID + 0x100 })))
      .then({ type: 'misuse.noted', rule: 'command-streamid-range' }, { type: 'command.performed' })
      .thenNo('structure.fetched', 'config.filled');
  });

  it('a command that is CERROR_ILL is not remarked besides', () => {
    const ill = command('CMD_CFGI_STE', { StreamID: 0x10_0000, SSec: true });
    warm().when(issue(0, ill)).then({ type: 'command.rejected', why: 'SSec=1' }).thenNo('misuse.noted');
  });
});
