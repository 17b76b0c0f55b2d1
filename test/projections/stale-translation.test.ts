/**
 * Bad stories and their good twins, put to the real machine with caches that drop no more than they
 * must. Each bad story names the access, the store to blame, and what came closest.
 */
import { describe, expect, it } from 'vitest';
import type { Stimulus } from '../../core/stimulus.ts';
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
  SID,
  ste,
  store,
  storeWords,
  tables,
  unmap,
} from '../support/build.ts';
import { deafHardware, findingsOf, given, lastOf, record } from '../support/entries.ts';

const IOVA = 0x5000;
const PAGE_A = at.data;
const PAGE_B = at.data + 0x1000;

const SYNC = command('CMD_SYNC');
const tlbi = (fields: Partial<Parameters<typeof command<'CMD_TLBI_NH_VA'>>[1]> = {}): Uint32Array =>
  command('CMD_TLBI_NH_VA', { ASID, Address: IOVA, Leaf: true, ...fields });
const mappedAndUsed: readonly Stimulus[] = [map(IOVA, PAGE_A), dma(IOVA, 'write')];

/** The one finding of a log. */
function only(log: ReturnType<typeof given>) {
  const findings = findingsOf(log);
  expect(findings).toHaveLength(1);
  return findings[0]!;
}

describe('a page that was unmapped', () => {
  it('is reported when no invalidation followed and the device still wrote there (8.4)', () => {
    const log = given(mappedAndUsed, unmap(IOVA), dma(IOVA, 'write'));
    const finding = only(log);
    const used = lastOf(log, 'access.completed');
    const broke = lastOf(log, 'memory.written');
    expect(finding).toMatchObject({
      rule: 'I3',
      verdict: 'used-stale',
      position: `main@${used.seq}`,
      actor: 'dev0',
      consequence: 'isolation',
      access: { iova: '0x5000', pa: '0x1000000', via: 'hit' },
      entry: { filled: `main@${lastOf(log, 'tlb.filled').seq}` },
      blame: { position: `main@${broke.seq}`, actor: 'cpu0' },
      missing: { nearest: { position: null } },
      dirtyEvents: used.seq - broke.seq,
    });
    expect(finding.access?.now).toContain('F_TRANSLATION');
    expect(finding.missing.needed).toBe('CMD_TLBI_NH_VA VMID=0 ASID=5 Address=0x5000 Leaf=1; CMD_SYNC');
  });

  it('needs just the commands that the finding names', () => {
    const { missing } = only(given(mappedAndUsed, unmap(IOVA), dma(IOVA, 'write')));
    const words = missing.commands.map(
      ({ words: [lo, hi] }) =>
        ({ type: 'command.issue', smmu: 'smmu0', lo: BigInt(lo), hi: BigInt(hi) }) as const,
    );
    expect(findingsOf(given(mappedAndUsed, unmap(IOVA), words, dma(IOVA, 'write')))).toEqual([]);
  });

  it('is fine after a TLBI and a CMD_SYNC, and with no access at all', () => {
    expect(findingsOf(given(mappedAndUsed, unmap(IOVA), issue(0, tlbi(), SYNC), dma(IOVA, 'write')))).toEqual(
      [],
    );
    expect(findingsOf(given(mappedAndUsed, unmap(IOVA)))).toEqual([]);
  });

  it.each([
    ['another ASID', tlbi({ ASID: ASID + 1 }), 'ASID differs: 0x6, owed for 0x5'],
    ['the next page', tlbi({ Address: IOVA + 0x1000 }), 'range 0x6000-0x6fff does not hold 0x5000'],
    ['another level', tlbi({ TG: '4KB', TTL: 2, NUM: 0, SCALE: 0, Address: 0 }), 'range'],
  ])('tells a TLBI of %s as the nearest miss', (_, words, why) => {
    const log = given(mappedAndUsed, unmap(IOVA), issue(0, words, SYNC), dma(IOVA, 'write'));
    const { nearest } = only(log).missing;
    expect(nearest.position).toBe(`main@${lastOf(log, 'command.performed').seq}`);
    expect(nearest.why).toContain(why);
  });

  it('tells a TTL that names another level', () => {
    const words = tlbi({ TG: '4KB', TTL: 2, NUM: 31, SCALE: 4, Address: 0 });
    expect(
      only(given(mappedAndUsed, unmap(IOVA), issue(0, words, SYNC), dma(IOVA))).missing.nearest.why,
    ).toBe('TTL=2 leaves level 3 alone');
  });

  it('tells a TLBI that came before the store', () => {
    const log = given(mappedAndUsed, issue(0, tlbi(), SYNC), dma(IOVA), unmap(IOVA), dma(IOVA, 'write'));
    expect(only(log).missing.nearest.why).toBe('too early: performed before the change');
  });

  it('tells a TLBI that was refused', () => {
    const words = tlbi({ TG: '4KB' });
    const { nearest } = only(
      given(mappedAndUsed, unmap(IOVA), issue(0, words, SYNC), dma(IOVA, 'write')),
    ).missing;
    expect(nearest.why).toContain('CERROR_ILL');
  });

  it('may be used while its TLBI is queued and no CMD_SYNC has completed (N1)', () => {
    const used = { ...lastOf(given(mappedAndUsed), 'access.completed') };
    const log = deafHardware(given(mappedAndUsed, unmap(IOVA), issue(0, tlbi())), used);
    expect(findingsOf(log)).toEqual([]);
  });

  it('may be used between the write of CMDQ_PROD and the CMD_SYNC, and no longer (N1)', () => {
    const turn = (unit: string): Stimulus => ({ type: 'turn', unit: `smmu0.${unit}` });
    const commandTurns = ['cmdq', 'consume', 'perform'].map(turn);
    const start = [...tables(), ...bringUp()].flatMap((each) => [each, turn('acknowledge')]);
    const manual = machine({ schedule: 'manual' });
    const dirty = [...start, ...mappedAndUsed, unmap(IOVA)];
    const queued = [...dirty, ...issue(0, tlbi(), SYNC)];
    const use = dma(IOVA, 'write');
    const story = (...stimuli: readonly Stimulus[]) => findingsOf(record(manual, stimuli));
    expect(story(...dirty, use)).toHaveLength(1);
    expect(story(...queued, use, turn('cmdq'), use, turn('consume'), use, turn('perform'), use)).toEqual([]);
    expect(story(...queued, ...commandTurns, turn('cmdq'), turn('consume'), use)).toEqual([]);
    // Another page is mapped before the old one is clean, and unmapped after the command was performed: that one it does not cover.
    const late = [map(0x5000, PAGE_B), use, unmap(IOVA), use];
    const verdicts = story(...queued, ...commandTurns, ...late).map(({ verdict }) => verdict);
    expect(verdicts).toEqual(['remade-dirty', 'used-stale']);
  });

  it('is made again before it is clean: the stale use tells where', () => {
    const log = given(mappedAndUsed, unmap(IOVA), map(IOVA, PAGE_B), dma(IOVA, 'write'));
    const [remade, finding] = findingsOf(log);
    const [broke, make] = log.entries.filter(({ type }) => type === 'memory.written').slice(-2);
    const made = `main@${make?.seq}`;
    expect(remade).toMatchObject({
      rule: 'I3',
      verdict: 'remade-dirty',
      position: made,
      blame: { position: `main@${broke?.seq}` },
      after: [{ position: made }],
      missing: { needed: 'CMD_TLBI_NH_VA VMID=0 ASID=5 Address=0x5000 Leaf=1; CMD_SYNC' },
    });
    expect(finding).toMatchObject({ verdict: 'used-stale' });
    expect(finding?.access?.now).toBe(`PA 0x${PAGE_B.toString(16)}`);
    expect(finding?.obligations[0]?.remade).toBe(made);
  });

  it('is read-only now: a write is reported, a read is not', () => {
    const readOnly = map(IOVA, PAGE_A, 0xf43n | (1n << 11n) | 0x80n);
    expect(findingsOf(given(mappedAndUsed, readOnly, dma(IOVA, 'read')))).toEqual([]);
    expect(only(given(mappedAndUsed, readOnly, dma(IOVA, 'write'))).access?.now).toContain('F_PERMISSION');
  });
});

describe('a permission that was relaxed', () => {
  const readOnly = map(IOVA, PAGE_A, 0xf43n | (1n << 11n) | 0x80n);
  it('is no danger, but a fault from the stale entry is told (B01)', () => {
    const log = given(readOnly, dma(IOVA), map(IOVA, PAGE_A), dma(IOVA, 'write'));
    expect(only(log)).toMatchObject({
      verdict: 'used-stale',
      consequence: 'availability',
      obligations: [{ state: 'owed' }],
    });
  });
});

describe('what needs no invalidation', () => {
  it('is a mapping where there was none (N3)', () => {
    expect(findingsOf(given(dma(IOVA), map(IOVA, PAGE_A), dma(IOVA, 'write')))).toEqual([]);
  });
  it('is a store of the same value, of software bits, or AF 0 to 1', () => {
    const bits = 0xf43n | (1n << 11n);
    const log = given(
      mappedAndUsed,
      map(IOVA, PAGE_A),
      map(IOVA, PAGE_A, bits | (1n << 55n)),
      map(0x6000, PAGE_B, bits & ~(1n << 10n)),
      dma(0x6000),
      map(0x6000, PAGE_B),
      dma(0x6000),
      dma(IOVA),
    );
    expect(findingsOf(log)).toEqual([]);
  });
  it('is an ASID that is reused after TLBI_NH_ASID', () => {
    const other = at.table + 0x1_0000;
    const log = given(
      mappedAndUsed,
      storeWords(at.cd, cd({ TTB0: other })),
      issue(
        0,
        command('CMD_CFGI_CD', { StreamID: SID, Leaf: true }),
        command('CMD_TLBI_NH_ASID', { ASID }),
        SYNC,
      ),
      dma(IOVA),
    );
    expect(findingsOf(log)).toEqual([]);
  });
});

describe('a block', () => {
  const blockPa = at.table + 0x2000 + 8;
  const block = [
    store(blockPa, 0x4000_0000n | 0xf41n | (1n << 11n)),
    dma(0x20_5000, 'write'),
    store(blockPa, 0),
  ];
  it('is owed as one: any address inside discharges it', () => {
    const inside = command('CMD_TLBI_NH_VA', { ASID, Address: 0x2f_f000, Leaf: true });
    expect(findingsOf(given(block, issue(0, inside, SYNC), dma(0x20_5000, 'write')))).toEqual([]);
    const finding = only(given(block, dma(0x20_5000, 'write')));
    expect(finding.obligations[0]?.owes).toContain('0x200000/2M');
  });
});

describe('a table that was unlinked', () => {
  const tablePa = at.table + 0x2000;
  const leafOnly = tlbi();
  it('needs Leaf=0: with Leaf=1 a walk still goes through it', () => {
    const log = given(mappedAndUsed, store(tablePa, 0), issue(0, leafOnly, SYNC), dma(IOVA, 'write'));
    const finding = only(log);
    expect(finding.missing.needed).toContain('Leaf=0');
    expect(finding.missing.nearest.why).toBe('Leaf=1 leaves table entries alone, Leaf=0 is needed');
    expect(finding.blame.what).toContain(`0x${tablePa.toString(16)}`);
  });
  it('owes what stands below it too, and is clean after a TLBI of the span with Leaf=0', () => {
    expect(only(given(mappedAndUsed, store(tablePa, 0), dma(IOVA, 'write'))).obligations[0]?.structure).toBe(
      'leaf descriptor',
    );
    const span = command('CMD_TLBI_NH_VA', { ASID, Address: 0, TG: '4KB', NUM: 31, SCALE: 4 });
    expect(
      findingsOf(given(mappedAndUsed, store(tablePa, 0), issue(0, span, SYNC), dma(IOVA, 'write'))),
    ).toEqual([]);
  });
  it('could be used when its page is mapped for DMA before that (I2)', () => {
    const table = at.table + 0x3000;
    const dirty = [...mappedAndUsed, store(tablePa, 0)];
    const again = store(tablePa, BigInt(at.table + 0x4000) | 3n);
    const mapped = store(at.table + 0x4000, BigInt(table) | 0xf43n | (1n << 11n));
    const [finding] = findingsOf(given(dirty, issue(0, leafOnly, SYNC), again, mapped));
    expect(finding).toMatchObject({ verdict: 'could-be-used', rule: 'I2' });
    expect(finding?.title).toContain('became a page for DMA');
    const span = command('CMD_TLBI_NH_VA', { ASID, Address: 0, TG: '4KB', NUM: 31, SCALE: 4 });
    expect(findingsOf(given(dirty, issue(0, span, SYNC), again, mapped))).toEqual([]);
  });
});

describe('memory that was mapped', () => {
  const link = store(at.table + 0x2000 + 8, BigInt(PAGE_A) | 3n);
  it('could be used when it becomes a table while the TLBI lacks its CMD_SYNC', () => {
    const finding = only(given(mappedAndUsed, unmap(IOVA), issue(0, tlbi()), link));
    expect(finding).toMatchObject({
      verdict: 'could-be-used',
      missing: { nearest: { why: 'no CMD_SYNC has completed after it' } },
    });
  });
  it('may become a table when it is clean', () => {
    expect(findingsOf(given(mappedAndUsed, unmap(IOVA), issue(0, tlbi(), SYNC), link))).toEqual([]);
  });
});

describe('an STE', () => {
  const abort = storeWords(at.strtab + SID * 64, ste({ Config: 'ABORT' }));
  const cfgi = (StreamID: number): Uint32Array => command('CMD_CFGI_STE', { StreamID, Leaf: true });
  it('that changed without CMD_CFGI_STE is reported', () => {
    const finding = only(given(mappedAndUsed, abort, issue(0, cfgi(SID + 1), SYNC), dma(IOVA, 'write')));
    expect(finding.title).toContain('stale-ste-used');
    expect(finding.missing.needed).toBe('CMD_CFGI_STE StreamID=8 Leaf=1; CMD_SYNC');
    expect(finding.missing.nearest.why).toBe('StreamID differs: 0x9, owed for 0x8');
  });
  it('is fine after it', () => {
    expect(findingsOf(given(mappedAndUsed, abort, issue(0, cfgi(SID), SYNC), dma(IOVA, 'write')))).toEqual(
      [],
    );
  });
  it('that became valid may still be cached as invalid (8.1)', () => {
    const invalid = storeWords(at.strtab + SID * 64, ste({ V: false }));
    const valid = storeWords(at.strtab + SID * 64, ste());
    const start = [invalid, issue(0, cfgi(SID), SYNC), dma(IOVA)].flat();
    expect(only(given(map(IOVA, PAGE_A), start, valid, dma(IOVA)))).toMatchObject({
      consequence: 'availability',
    });
    expect(findingsOf(given(map(IOVA, PAGE_A), start, valid, issue(2, cfgi(SID), SYNC), dma(IOVA)))).toEqual(
      [],
    );
  });
});

describe('a CD', () => {
  const other = at.table + 0x1_0000;
  const moved = storeWords(at.cd, cd({ TTB0: other }));
  const cfgi = command('CMD_CFGI_CD', { StreamID: SID, Leaf: true });
  it('that changed without CMD_CFGI_CD is reported', () => {
    const log = given(
      mappedAndUsed,
      moved,
      issue(0, command('CMD_TLBI_NH_ASID', { ASID }), SYNC),
      dma(IOVA, 'write'),
    );
    const finding = only(log);
    expect(finding.title).toContain('stale-cd-used');
    expect(finding.missing.needed).toContain('CMD_CFGI_CD StreamID=8 SubstreamID=0 Leaf=1');
  });
  it('with other tables needs its ASID invalidated too (8.3)', () => {
    const finding = only(given(mappedAndUsed, moved, issue(0, cfgi, SYNC), dma(IOVA, 'write')));
    expect(finding.title).toContain('stale-translation-used');
    expect(finding.missing.needed).toBe('CMD_TLBI_NH_ASID VMID=0 ASID=5; CMD_SYNC');
  });
  it('that comes back as it was leaves nothing wrong', () => {
    const log = given(mappedAndUsed, moved, storeWords(at.cd, cd()), dma(IOVA, 'write'));
    expect(findingsOf(log)).toEqual([]);
  });
});

describe('hardware that kept an entry', () => {
  it('is to blame when a covering TLBI and a CMD_SYNC completed (I1)', () => {
    const story = given(mappedAndUsed);
    const used = lastOf(story, 'access.completed');
    const clean = given(mappedAndUsed, unmap(IOVA), issue(0, tlbi(), SYNC));
    const log = deafHardware(clean, { ...used, via: 'hit' });
    const finding = only(log);
    expect(finding).toMatchObject({
      rule: 'I1',
      verdict: 'used-stale',
      blame: { actor: 'smmu0', position: `main@${lastOf(clean, 'command.performed').seq}` },
    });
    expect(finding.blame.what).toContain('CMD_TLBI_NH_VA');
    expect(finding.after[0]?.what).toContain(leafPa(IOVA).toString(16));
  });
});
