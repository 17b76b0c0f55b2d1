/**
 * Random words wherever a guest or a device can put them: registers of every page, queue bytes, STEs, CDs,
 * level 1 descriptors, descriptors of both stages, DMA, ATS, PRI and broadcasts, on a machine that has
 * everything. What comes of it is architecture: a run ends quiet and breaks no invariant of ours.
 */
import { nextRandom } from '../../core/random.ts';
import { Simulation } from '../../core/simulation.ts';
import { broadcasts } from '../../core/smmu/broadcast.ts';
import { offsetOf, registersOf } from '../../core/smmu/register-blocks.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { at, cd, issue, reset, SID, ste, store, storeWords, write } from './build.ts';
import { GUEST, guestMap, nestedBringUp, nestedMachine, nestedSte, s2LeafPa } from './nested.ts';
import { idr } from './tables.ts';

const EVERYTHING =
  'S2P=1 Hyp=1 BTM=1 HTTU=3 ATS=1 MSI=1 SEV=1 PRI=1 VMW=1 VMID16=1 ATSRECERR=1 STALL_MODEL=0 TERM_MODEL=0 ' +
  'ATOS=1 VATOS=1 XNX=1 FWB=1 RIL=1 BBML=2 PTWNNC=1 EPAN=1 PASIDTT=1 PPS=0 DS=1 OAS=6 VAX=1 PRIQS=8 STALL_MAX=8 ' +
  'ECMDQ=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=1 TTENDIAN=0';
/** Words a story is given before a fresh machine takes its place. */
const STORY_WORDS = 2_000;

/** A seeded source of numbers. */
export class Luck {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** 0 to `count` - 1. */
  below(count: number): number {
    this.#state = nextRandom(this.#state);
    return (this.#state >>> 3) % count;
  }
  word(): bigint {
    let out = 0n;
    for (let part = 0; part < 4; part += 1) out = (out << 16n) | BigInt(this.below(0x1_0000));
    return out;
  }
  /** A word of any bits, of few bits, or one that was there with a few bits turned. */
  near(base: bigint): bigint {
    const kind = this.below(4);
    if (kind === 0) return this.word();
    let out = kind === 1 ? 0n : base;
    for (let turns = this.below(4); turns >= 0; turns -= 1) out ^= 1n << BigInt(this.below(64));
    return out;
  }
}

function fresh(luck: Luck): { readonly simulation: Simulation; readonly offsets: readonly number[] } {
  const endpoint = { smmu: 'smmu0', streamId: SID, ats: true, pri: true, ssidBits: 20 } as const;
  const small = luck.below(2) === 0 ? 2 : ('unbounded' as const);
  const simulation = new Simulation(
    reset(
      nestedMachine(
        {
          schedule: luck.below(2) === 0 ? 'eager' : 'seeded',
          seed: luck.below(2 ** 20),
          endpoints: [
            { ...endpoint, name: 'dev0', atc: small },
            { ...endpoint, name: 'dev1', atc: 0, stall: false, streamId: SID + 1 },
          ],
        },
        {
          idr: idr(EVERYTHING),
          caches: { ste: small, cd: small, tlb: small, walk: small },
          choices: { combinedEntries: luck.below(2) === 0, prefetchTranslations: luck.below(2) === 0 },
        },
      ),
    ),
  );
  for (const stimulus of [...nestedBringUp(), guestMap(0, 0x40_0000), write('CR0', 0x1f)])
    simulation.dispatch(stimulus);
  const smmu = simulation.state.smmus['smmu0'];
  if (smmu === undefined) throw new Error('the machine has an SMMU');
  return { simulation, offsets: registersOf(smmu).map(({ name }) => offsetOf(smmu, name) ?? 0) };
}

/** What a draw may use. */
interface Draw {
  readonly luck: Luck;
  readonly offsets: readonly number[];
  /** CMDQ_PROD as it stands. */
  readonly prod: number;
}
interface Drawn {
  readonly stimuli: readonly Stimulus[];
  /** Random words in them. */
  readonly words: number;
}

/** A structure with up to five bits turned. */
function bent(luck: Luck, words: Uint32Array): Uint32Array {
  const out = words.slice();
  for (let turns = luck.below(6); turns > 0; turns -= 1) {
    const bit = luck.below(out.length * 32);
    out[bit >>> 5] = ((out[bit >>> 5] ?? 0) ^ (1 << (bit & 31))) >>> 0;
  }
  return out;
}

const one = (words: number, ...stimuli: Stimulus[]): Drawn => ({ stimuli, words });
const half = (luck: Luck): boolean => luck.below(2) === 0;
const anyIova = (luck: Luck): bigint => (luck.below(3) === 0 ? luck.word() : BigInt(luck.below(0x8000)));
/** Half of the guest's structures stand at its IPAs, half where a stage 1 stream would look. */
const side = (luck: Luck): number => (half(luck) ? GUEST : 0);
const operations = Object.keys(broadcasts);

/** What an endpoint's request has besides its kind. */
function asked(luck: Luck) {
  return {
    endpoint: luck.below(4) === 0 ? 'dev1' : 'dev0',
    access: half(luck) ? 'read' : 'write',
    exec: luck.below(4) === 0,
    privileged: half(luck),
    ...(luck.below(3) === 0 ? { ssid: luck.below(4) } : {}),
  } as const;
}

/** The things a guest or a device does, with random words in them. */
const draws: readonly ((about: Draw) => Drawn)[] = [
  ({ luck, offsets }) => {
    const offset = offsets[luck.below(offsets.length)] ?? 0;
    const size = luck.below(3) === 0 ? 4 : 8;
    return one(1, { type: 'mmio.write', smmu: 'smmu0', offset, size, value: luck.near(0n) });
  },
  ({ luck, prod }) => {
    const lo = (luck.near(0n) & ~0xffn) | BigInt(luck.below(0x80));
    const entry = store(at.cmdq + (prod % 256) * 16, lo, luck.near(0n));
    return one(3, entry, write('CMDQ_PROD', (prod + 1) % 512), write('GERRORN', luck.below(1024)));
  },
  ({ luck }) => one(8, storeWords(at.strtab + SID * 64, bent(luck, half(luck) ? ste() : nestedSte()))),
  ({ luck }) => one(8, storeWords(at.cd + side(luck), bent(luck, cd()))),
  ({ luck }) => {
    const pa = at.table + luck.below(4) * 0x1000 + side(luck);
    return one(1, store(pa, luck.near(BigInt(at.data) | 0xf43n)));
  },
  ({ luck }) => one(1, store(s2LeafPa(luck.below(8) * 4096 + at.table), luck.near(BigInt(GUEST) | 0x7ffn))),
  ({ luck }) => one(1, { type: 'ats.translate', iova: anyIova(luck), size: 4096, ...asked(luck) }),
  ({ luck }) => {
    const { endpoint, access } = asked(luck);
    const group = { prgIndex: luck.below(512), last: half(luck) };
    return one(1, { type: 'pri.request', endpoint, access, iova: anyIova(luck), ...group });
  },
  ({ luck }) => {
    const operation = operations[luck.below(operations.length)] ?? 'ALLE1';
    const tags = { vmid: luck.below(8), asid: luck.below(8), va: anyIova(luck) };
    return one(1, { type: 'cpu.tlbi', operation, ...tags });
  },
  ({ luck, prod }) => {
    const words = (): Uint32Array =>
      Uint32Array.from({ length: 4 }, () => Number(luck.word() & 0xffff_ffffn));
    return one(4, ...issue(prod, words(), words()));
  },
  ({ luck }) => {
    const size = 1 + luck.below(5000);
    return one(1, {
      type: 'dma',
      iova: anyIova(luck),
      size,
      translated: luck.below(4) === 0,
      ...asked(luck),
    });
  },
];

/** Plays random words until there were `words`. Returns how many stimuli that took. */
export function fuzz(seed: number, words: number, onStory: (done: number) => void = () => {}): number {
  const luck = new Luck(seed);
  let done = 0;
  let stimuli = 0;
  while (done < words) {
    const { simulation, offsets } = fresh(luck);
    for (let story = 0; story < STORY_WORDS; ) {
      const prod = simulation.glance.smmus['smmu0']?.regs['CMDQ_PROD'] ?? 0;
      const draw = draws[Math.min(luck.below(12), draws.length - 1)];
      if (draw === undefined) throw new Error('there is something to do');
      const next = draw({ luck, offsets, prod });
      for (const stimulus of next.stimuli) simulation.dispatch(stimulus);
      story += next.words;
      done += next.words;
      stimuli += next.stimuli.length;
    }
    if (!simulation.run(100_000).quiet) throw new Error('the machine does not come to rest');
    onStory(done);
  }
  return stimuli;
}
