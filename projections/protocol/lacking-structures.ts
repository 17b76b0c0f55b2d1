/**
 * STEs and CDs that ask for what the SMMU does not have: checked when they become reachable and at each store,
 * before any access meets them (IHI 0070 5.2.2, 5.4.2). Rows name the field that software should have asked.
 */
import type { Words } from '../../core/layout/field.ts';
import { decode } from '../../core/layout/layout.ts';
import { CD, type Cd } from '../../core/smmu/cd.ts';
import { cdRules } from '../../core/smmu/cd-rules.ts';
import type { Features } from '../../core/smmu/features.ts';
import { isE2h } from '../../core/smmu/regs.ts';
import { STE, type Ste, steConfig } from '../../core/smmu/ste.ts';
import { steRules } from '../../core/smmu/ste-rules.ts';
import type { Finding } from '../finding.ts';
import type { Change } from '../obligations/obligation.ts';
import { hex, showChange } from '../obligations/tell.ts';
import { knownFrom } from './id-reads.ts';
import type { Seen, SeenCd } from './reach.ts';
import { deed, tell } from './tell.ts';
import type { RuleRun, Unit, World } from './world.ts';

/** Rules of the specification that a structure breaks for want of a feature, and where it would be offered. */
// biome-ignore format: a table
export const steCapabilities: Readonly<Record<string, string>> = {
  'stage-1-absent':        'IDR0.S1P',
  'stage-2-absent':        'IDR0.S2P',
  'eats-split-absent':     'IDR0.NS1ATS',
  's1stalld':              'IDR0.STALL_MODEL',
  's1cdmax-too-large':     'IDR1.SSIDSIZE',
  's1fmt-two-level':       'IDR0.CD2L',
  's1contextptr-too-large': 'IDR5.OAS',
  's2s-absent':            'IDR0.STALL_MODEL',
  's2s-forced':            'IDR0.STALL_MODEL',
  's2aa64-0':              'IDR0.TTF',
  's2aa64-1':              'IDR0.TTF',
  's2ha-s2hd-absent':      'IDR0.HTTU',
  's2hd-absent':           'IDR0.HTTU',
  's2tg-absent':           'IDR5.GRAN4K',
  's2ttb-too-large':       'IDR5.OAS',
  's2sl0-unsupported':     'IDR5.DS',
  's2endi':                'IDR0.TTENDIAN',
  's2vmid-16-bit':         'IDR0.VMID16',
  'vmsptr-too-large':      'IDR5.OAS',
};

// biome-ignore format: a table
export const cdCapabilities: Readonly<Record<string, string>> = {
  'term-model':            'IDR0.TERM_MODEL',
  'stall-absent':          'IDR0.STALL_MODEL',
  'stall-forced':          'IDR0.STALL_MODEL',
  'endi':                  'IDR0.TTENDIAN',
  'aa64-0':                'IDR0.TTF',
  'aa64-1':                'IDR0.TTF',
  'ha-hd-absent':          'IDR0.HTTU',
  'hd-absent':             'IDR0.HTTU',
  'asid-16-bit':           'IDR0.ASID16',
  'txsz-range':            'IDR5.VAX',
  'tg-absent':             'IDR5.GRAN4K',
  'ttb-too-large':         'IDR5.OAS',
};

/** Fields that hardware without the feature IGNORES: what software meant by them does not happen. */
// biome-ignore format: a table
const ignoredSte: readonly (readonly [name: string, field: string, asks: (ste: Ste, f: Features) => boolean])[] = [
  ['eats',        'IDR0.ATS',      (s, f) => s.EATS !== 'OFF' && !f.ats && s.Config !== 'BYPASS'],
  ['s1cdmax',     'IDR1.SSIDSIZE', (s, f) => stage1(s) && s.S1CDMax > 0 && f.ssidBits === 0],
  ['s2fwb',       'IDR3.FWB',      (s, f) => stage2(s) && s.S2FWB && !f.fwb],
  ['s2ds',        'IDR5.DS',       (s, f) => stage2(s) && s.S2DS && !f.ds],
];

// biome-ignore format: a table
const ignoredCd: readonly (readonly [name: string, field: string, asks: (cd: Cd, f: Features) => boolean])[] = [
  ['ds',          'IDR5.DS',       (c, f) => c.DS && !f.ds],
  ['had',         'IDR3.HAD',      (c, f) => (c.HAD0 || c.HAD1) && !f.had],
  ['e0pd',        'IDR3.E0PD',     (c, f) => (c.E0PD0 || c.E0PD1) && !f.e0pd],
];

const stage1 = ({ Config }: Ste): boolean => Config === 'S1' || Config === 'NESTED';
const stage2 = ({ Config }: Ste): boolean => Config === 'S2' || Config === 'NESTED';

/** A run over the structures of all SMMUs. */
export function lackingStructures(world: World): RuleRun {
  const told: Finding[] = [];
  const known = new Set<string>();
  const once = (where: string, work: () => void): void => {
    if (known.has(where)) return;
    known.add(where);
    work();
  };
  for (const reach of world.reaches.values()) {
    reach.listeners.push({
      ste: (seen) => {
        for (const [name, field] of lackingOfSte(seen.unit, seen.after))
          once(`${seen.unit.name} ${seen.streamId} ${name}`, () =>
            told.push(lacking(world, seen, `STE of StreamID ${hex(seen.streamId)}`, name, field)),
          );
      },
      cd: (seen) => {
        for (const [name, field] of lackingOfCd(seen)) {
          const of = `StreamID ${hex(seen.streamId)}, SubstreamID ${hex(seen.substreamId)}`;
          once(`${seen.unit.name} ${seen.streamId} ${seen.substreamId} ${name}`, () =>
            told.push(lacking(world, seen, `CD of ${of}`, name, field)),
          );
        }
      },
    });
  }
  return { told: () => told, handlers: {} };
}

type Lacking = readonly (readonly [name: string, field: string])[];

function lackingOfSte({ features }: Unit, words: Words): Lacking {
  if (!STE.fields.V.read(words)) return [];
  const ste = decode(STE, words);
  if (steConfig(ste) === 'ABORT') return [];
  const broken = steRules.flatMap(({ name, broken: isBroken }) => {
    const field = steCapabilities[name];
    return field !== undefined && isBroken(ste, features) ? [[name, field] as const] : [];
  });
  const ignored = ignoredSte.filter(([, , asks]) => asks(ste, features));
  return [...broken, ...ignored.map(([name, field]) => [name, field] as const)];
}

function lackingOfCd({ unit, after, ste }: SeenCd): Lacking {
  if (!CD.fields.V.read(after)) return [];
  const [cd, by] = [decode(CD, after), decode(STE, ste)];
  const { features, bare } = unit;
  const broken = cdRules.flatMap(({ name, broken: isBroken }) => {
    const field = cdCapabilities[name];
    return field !== undefined && isBroken(cd, by, features, isE2h(bare)) ? [[name, field] as const] : [];
  });
  const ignored = ignoredCd.filter(([, , asks]) => asks(cd, features));
  return [...broken, ...ignored.map(([name, field]) => [name, field] as const)];
}

function lacking(
  world: World,
  { unit, pa, before, change }: Seen,
  what: string,
  name: string,
  field: string,
): Finding {
  const how =
    before === undefined ? `${howReached(change)}: [${hex(pa)}] can be read now` : showChange(change);
  return tell(world, {
    rule: 'I10',
    title: `structure-not-offered: ${what} on ${unit.name} asks for ${name}`,
    blame: deed(change, how),
    needed: `${field} read, and the structure written as it lets it be`,
    notes: [
      knownFrom(world, unit, field),
      'accesses of the stream end in C_BAD_STE or C_BAD_CD, or without the feature',
    ],
    capability: { smmu: unit.name, field },
  });
}

function howReached(change: Change): string {
  return change.pa === 0 ? `CR0 = ${hex(change.after)}` : showChange(change);
}
