/** Entries of the caches: which descriptors and structures they were filled from, and who stored those. */
import type { Entry, EntryOf } from '../../../core/event.ts';
import { type Evidence, fact, hex, type Reason, type Rows } from './reason.ts';

const TABLES = 'IHI 0070 3.4';

export const fillRows: Rows = {
  'tlb.filled': { cite: TABLES, below: tlbFilled },
  'config.filled': { cite: 'IHI 0070 3.3', below: configFilled },
  'structure.fetched': {
    cite: 'IHI 0070 3.3',
    below: (e, evidence) => storedBy(evidence, evidence.place(e.smmu, e.pa, e.seq), e.words.length, e.seq),
  },
  'descriptor.fetched': { cite: TABLES, below: (e, evidence) => descriptor(e, evidence).below?.() ?? [] },
  'atc.filled': { cite: 'IHI 0070 3.9', below: (e, evidence) => restsOn(e, evidence) },
  'ats.answered': { cite: 'IHI 0070 3.9', below: (e, evidence) => restsOn(e, evidence) },
  'memory.read': { below: (e, evidence) => storedBy(evidence, e.pa, e.size, e.seq) },
};

/** Who stored what stood at `[pa, pa + size)`. */
export function storedBy(evidence: Evidence, pa: number, size: number, until: number): readonly Reason[] {
  const stores = evidence.stores(pa, size, until);
  if (stores.length === 0)
    return [fact(0, 'stored by', `nobody: [${hex(pa)}] is 0 since the machine was made`)];
  return stores.flatMap(({ seq }) => evidence.because('stored by', seq));
}

/** What an access or an answer rests on; 0 stands for nothing. */
export function restsOn(
  basis: {
    readonly ste: number;
    readonly cd: number;
    readonly tlb: number;
    readonly tlb2?: number;
    readonly atc?: number;
  },
  evidence: Evidence,
  served = 'served by',
): readonly Reason[] {
  return [
    ...evidence.because('served by the ATC', basis.atc ?? 0),
    ...evidence.because(served, basis.tlb),
    ...evidence.because('and by stage 2', basis.tlb2 ?? 0),
    ...evidence.because('CD', basis.cd),
    ...evidence.because('STE', basis.ste),
  ];
}

function tlbFilled(e: EntryOf<'tlb.filled'>, evidence: Evidence): readonly Reason[] {
  const walked = walkOf(e, evidence);
  const levels =
    walked.length > 0
      ? walked.map((each) => descriptor(each, evidence))
      : [
          {
            seq: e.seq,
            role: `L${e.level}`,
            what: `[${hex(e.descriptorPa)}] is ${hex(e.descriptor)}`,
            below: () => storedBy(evidence, evidence.place(e.smmu, e.descriptorPa, e.seq), 8, e.seq),
          },
        ];
  const stage2 = [...new Set(e.rests ?? [])].flatMap((seq) => evidence.because('through stage 2', seq));
  return [...levels, ...stage2, ...evidence.because('walk began from', e.parent)];
}

function descriptor(each: EntryOf<'descriptor.fetched'>, evidence: Evidence): Reason {
  return {
    seq: each.seq,
    role: `S${each.stage} L${each.level}`,
    what: `[${hex(each.pa)}] is ${hex(each.value)}`,
    entry: each,
    below: () => storedBy(evidence, evidence.place(each.smmu, each.pa, each.seq), 8, each.seq),
  };
}

/** The descriptors that the walk for a fill read, the last level first. A table entry is of one descriptor. */
export function walkOf(
  fill: EntryOf<'tlb.filled'>,
  evidence: Evidence,
): readonly EntryOf<'descriptor.fetched'>[] {
  const stage = fill.stage === 2 ? 2 : 1;
  const before = evidence.step(fill).filter(({ seq }) => seq < fill.seq);
  const found = new Map<number, EntryOf<'descriptor.fetched'>>();
  for (const each of before.reverse()) {
    if (endsWalk(each, stage, fill.smmu)) break;
    if (each.type !== 'descriptor.fetched' || each.stage !== stage) continue;
    if (!found.has(each.level)) found.set(each.level, each);
    if (!fill.leaf) break;
  }
  return [...found.values()];
}

/** Going back from a fill: what was before this belongs to another walk. */
function endsWalk(each: Entry, stage: number, smmu: string): boolean {
  if (each.type === 'config.filled' || each.type.startsWith('access.') || each.type === 'ats.answered')
    return true;
  if (each.type === 'descriptor.fetched') return stage === 2 && each.stage === 1;
  return (
    each.type === 'tlb.filled' && each.smmu === smmu && each.leaf && (each.stage === 2) === (stage === 2)
  );
}

function configFilled(e: EntryOf<'config.filled'>, evidence: Evidence): readonly Reason[] {
  const stage2 = evidence.because('its address through stage 2', e.tlb2 ?? 0);
  const pa = evidence.place(e.smmu, e.pa, e.seq);
  return [...storedBy(evidence, pa, e.words.length, e.seq), ...stage2, ...placedBy(e, evidence)];
}

/** What led to the address of a structure: the table's register, its level 1 descriptor, the STE. */
function placedBy(e: EntryOf<'config.filled'>, evidence: Evidence): readonly Reason[] {
  const smmu = evidence.state(e.seq).smmus[e.smmu];
  if (smmu === undefined) return [];
  if (e.cache === 'ste') {
    const l1 = smmu.caches.l1std.find(e.streamId - (e.streamId % 2 ** splitOf(smmu.regs)), 0);
    if (l1 !== undefined) return evidence.because('placed by L1STD', l1.id);
  }
  if (e.cache === 'ste' || e.cache === 'l1std')
    return evidence.setTo('placed by', e.smmu, 'STRTAB_BASE', e.seq);
  const ste = smmu.caches.ste.find(e.streamId, 0);
  return ste === undefined ? [] : evidence.because('placed by STE', ste.id);
}

/** STRTAB_BASE_CFG.SPLIT; other values act as 6 (IHI 0070 6.3.25). */
function splitOf(regs: Readonly<Record<string, number>>): number {
  const code = ((regs['STRTAB_BASE_CFG'] ?? 0) >>> 6) & 0x1f;
  return code === 8 || code === 10 ? code : 6;
}
