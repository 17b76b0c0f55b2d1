/**
 * Scenarios as lines of text, for tests that are written from the specification: a case says how the
 * structures and tables look, what is done, and what is answered. The tables are laid out, and the event
 * records taken apart, by the bit numbers of the specification and with nothing of the model. Addresses,
 * sizes and values are numbers as TypeScript has them; `->` stands before what a step answers:
 *
 *     idr A=1 / choice a=false / cache tlb=1    of the machine
 *     cr0 A=1 / cr2 A=1                         instead of 1 or 0 for fields named
 *     ste BASE A=1 / ste@SID ... / cd A=1 / cd@PA ...   BASE: S1 S2 NEST BYPASS ABORT
 *     s1 VA PA [L3] [FLAGS] / s2 IPA PA ...     a page or block; FLAGS replace those below
 *     s1t VA L1 APT=2,UXNT / s1at VA L3 VALUE   bits of a table descriptor; a descriptor as it is
 *     q PA VALUE / q? PA                        a doubleword of memory
 *     r VA / w VA / x VA [p] [ss=1] [n=8] [t]   an access: privileged, SubstreamID, bytes, Translated
 *     ats VA [w] [x] [p] [ss=1] [n=1]           a Translation Request
 *     cmd NAME A=1 / tlbi OP A=1                and CMD_SYNC; a broadcast
 *     reg NAME VALUE                            writes a register
 *     stalled                                   how stalled accesses ended or stalled anew
 *     quiet / records                           accesses tell no records; all records since the last, raw
 *     s1? VA [L3] / s2? IPA [L3]                a descriptor as it is in memory
 */

import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { encode } from '../../core/layout/layout.ts';
import { openSession, type Session } from '../../core/machine.ts';
import { type Outcome, outcomeOf } from '../../core/outcome.ts';
import { runTurns } from '../../core/run.ts';
import { CD } from '../../core/smmu/cd.ts';
import { defaultChoices } from '../../core/smmu/choices.ts';
import { type CommandName, commandLayouts, encodeCommand } from '../../core/smmu/command-layout.ts';
import { profiles } from '../../core/smmu/profiles.ts';
import { type RegisterName, registers } from '../../core/smmu/registers.ts';
import { STE } from '../../core/smmu/ste.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { machine, reset, store, storeWords, write } from './build.ts';
import type { SpecCase } from './spec-cases.ts';
import { ends, hex, recordText, shownPiece } from './spec-record.ts';
import {
  flagsOf,
  indexAt,
  outputBits,
  S1_DEFAULT,
  S2_DEFAULT,
  type Shape,
  s1Flags,
  s2Flags,
  stage1Shape,
  stage2Shape,
} from './spec-tables.ts';
import { pairs, put, withFields } from './tables.ts';

const lay = {
  strtab: 0x1_0000,
  cd: 0x2_0000,
  cmdq: 0x3_0000,
  evtq: 0x4_0000,
  priq: 0x5_0000,
  /** First table of stage 1 and of stage 2; the tables below come from `pool` on. */
  s1: 0x10_0000,
  s2: 0x40_0000,
  pool: 0x80_0000,
} as const;

const SID = 8;

const bases: Readonly<Record<string, string>> = {
  ABORT: 'V=1 Config=0',
  BYPASS: 'V=1 Config=4',
  S1: `V=1 Config=5 S1ContextPtr=${lay.cd} MEV=0`,
  S2: `V=1 Config=6 S2VMID=3 S2T0SZ=25 S2SL0=1 S2PS=5 S2AA64=1 S2R=1 S2TTB=${lay.s2}`,
  NEST: `V=1 Config=7 S1ContextPtr=${lay.cd} S2VMID=3 S2T0SZ=25 S2SL0=1 S2PS=5 S2AA64=1 S2R=1 S2TTB=${lay.s2}`,
};
const CD_BASE = `V=1 AA64=1 T0SZ=16 EPD1=1 IPS=5 ASID=5 A=1 R=1 ASET=1 TTB0=${lay.s1} TTB1=${lay.s1 + 0x8_0000}`;

/** What a case answers otherwise than it says: steps that answer, and what they are to answer, parted by `->`. */
export function wrongAnswers({ steps }: SpecCase): readonly string[] {
  const said = steps
    .filter((step) => step !== '')
    .map((step) => step.split(' -> ').map((part) => part.trim()));
  const world = new SpecWorld(said.map(([step = '']) => step));
  return said.flatMap(([step = '', wanted]) => {
    const given = world.does(step);
    return given === wanted ? [] : [`${step} -> ${given ?? 'nothing'}, not ${wanted ?? 'nothing'}`];
  });
}

const firstWord = (step: string): [string, string] => {
  const at = step.indexOf(' ');
  return at < 0 ? [step, ''] : [step.slice(0, at), step.slice(at + 1).trim()];
};

/** What is said of `word` in all steps. */
function told(steps: readonly string[], word: string): string {
  return steps
    .map(firstWord)
    .filter(([each]) => each === word)
    .map(([, rest]) => rest)
    .join(' ');
}

/** The machine that these steps are for. */
function configOf(steps: readonly string[]): MachineConfig {
  const own = pairs(told(steps, 'choice')).map(([name, value]) => [name, value === '1' || value === 'true']);
  const caches = pairs(told(steps, 'cache')).map(([name, value]) => [name, Number(value)]);
  const full = { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded' } as const;
  const endpoint = { smmu: 'smmu0', ats: true, pri: true, ssidBits: 20, atc: 'unbounded' } as const;
  return machine(
    {
      endpoints: [
        { name: 'dev0', streamId: SID, ...endpoint },
        { name: 'dev1', streamId: SID + 1, ...endpoint },
      ],
      ram: [0, 2 ** 47, 2 ** 51].map((base) => ({ base, size: 2 ** 32 })),
    },
    {
      idr: withFields(profiles.everything.idr, told(steps, 'idr')),
      choices: { ...defaultChoices(), ...Object.fromEntries(own) },
      caches: { ...full, ...Object.fromEntries(caches) },
      invalidation: steps.includes('generous') ? 'generous' : 'literal',
    },
  );
}

/** Of an access or a Translation Request: who, with what SubstreamID, how much. */
function optionsOf(words: readonly string[]) {
  const number = (name: string): number | undefined => {
    const found = words.find((word) => word.startsWith(`${name}=`));
    return found === undefined ? undefined : Number(found.slice(name.length + 1));
  };
  const ssid = number('ss');
  return {
    endpoint: words.includes('dev1') ? 'dev1' : 'dev0',
    ...(ssid === undefined ? {} : { ssid }),
    size: number('n') ?? 1,
    ...(words.includes('p') ? { privileged: true } : {}),
  };
}

type Step = (this: SpecWorld, rest: string, name: string, where: string | undefined) => string | undefined;

/** What each step does, and what it answers. */
const does: Readonly<Record<string, Step>> = {
  ste(rest, _, where) {
    const [base, fields] = firstWord(rest);
    const words = put(STE.fields, encode(STE, {}), bases[base] ?? base);
    put(STE.fields, words, fields);
    if (where === undefined) this.shapes.s2 = stage2Shape(words, lay.s2);
    this.put(storeWords(lay.strtab + Number(where ?? SID) * 64, words));
    return undefined;
  },
  cd(rest, _, where) {
    const words = put(CD.fields, put(CD.fields, encode(CD, {}), CD_BASE), rest);
    if (where === undefined) this.shapes.s1 = stage1Shape(words, lay.s1);
    this.put(storeWords(Number(where ?? lay.cd), words));
    return undefined;
  },
  s1(rest) {
    return this.map('s1', rest, s1Flags, S1_DEFAULT);
  },
  s2(rest) {
    return this.map('s2', rest, s2Flags, S2_DEFAULT);
  },
  s1t(rest) {
    const [ia = '', level = '', flags = ''] = rest.split(/\s+/);
    const pa = this.descriptorAt('s1', ia, level);
    this.put(store(pa, this.memory(pa) | flagsOf(s1Flags, flags)));
    return undefined;
  },
  s1at(rest, name) {
    const [ia = '', level = '', value = ''] = rest.split(/\s+/);
    this.put(store(this.descriptorAt(name === 's1at' ? 's1' : 's2', ia, level), BigInt(value)));
    return undefined;
  },
  's1?'(rest, name) {
    const [ia = '', level = 'L3'] = rest.split(/\s+/);
    return hex(this.memory(this.descriptorAt(name === 's1?' ? 's1' : 's2', ia, level)));
  },
  q(rest) {
    const [pa = '', ...values] = rest.split(/\s+/);
    this.put(store(Number(pa), ...values.map(BigInt)));
    return undefined;
  },
  'q?'(rest) {
    return hex(this.memory(Number(rest)));
  },
  r(rest, name) {
    return this.access(name, rest);
  },
  ats(rest) {
    return this.request(rest);
  },
  cmd(rest) {
    const [name, fields] = firstWord(rest) as [CommandName, string];
    this.command(put(commandLayouts[name].layout.fields, encodeCommand(name, {}), fields));
    this.command(encodeCommand('CMD_SYNC', {}));
    const stopped = (this.read('GERROR') ^ this.read('GERRORN')) & 1n;
    return stopped === 1n ? `CERROR ${(this.read('CMDQ_CONS') >> 24n) & 0x7fn}` : undefined;
  },
  reg(rest) {
    const [register, value] = firstWord(rest);
    this.put(write(register as RegisterName, BigInt(value)));
    return undefined;
  },
  tlbi(rest) {
    const [operation, fields] = firstWord(rest);
    const value = (name: string, text: string): unknown =>
      name === 'va'
        ? BigInt(text)
        : name.startsWith('e')
          ? text === '1'
          : name === 'tg'
            ? text
            : Number(text);
    const given = pairs(fields).map(([name, text]) => [name, value(name, text)]);
    this.put({ type: 'cpu.tlbi', operation, ...Object.fromEntries(given) } as Stimulus);
    return undefined;
  },
  stalled() {
    return this.stalled();
  },
  quiet() {
    this.quiet = true;
    return undefined;
  },
  records() {
    return this.records().join(' + ') || 'none';
  },
};

const same: Readonly<Record<string, string>> = { w: 'r', x: 'r', s2at: 's1at', 's2?': 's1?' };
/** Said of the machine before it begins. */
const before = ['idr', 'choice', 'cache', 'cr0', 'cr2', 'generous'];

class SpecWorld {
  readonly shapes: { s1: Shape; s2: Shape } = {
    s1: { root: lay.s1, granule: 12, inputBits: 48, start: 0, ds: false },
    s2: { root: lay.s2, granule: 12, inputBits: 39, start: 1, ds: false },
  };
  quiet = false;
  private readonly session: Session;
  /** Since the last access. */
  private entries: Entry[] = [];
  private pool: number = lay.pool;
  private commands = 0;
  private recordsRead = 0;

  constructor(steps: readonly string[]) {
    this.session = openSession(reset(configOf(steps)));
    this.put(storeWords(lay.strtab + SID * 64, new Uint32Array(16)));
    this.put(write('CR1', 0xd75));
    this.enable('CR2', '', told(steps, 'cr2'));
    this.put(write('STRTAB_BASE', lay.strtab));
    this.put(write('STRTAB_BASE_CFG', 8));
    this.put(write('CMDQ_BASE', lay.cmdq + 8));
    this.put(write('EVENTQ_BASE', lay.evtq + 8));
    this.put(write('PRIQ_BASE', lay.priq + 4));
    this.enable('CR0', 'SMMUEN=1 EVENTQEN=1 CMDQEN=1 PRIQEN=1 ATSCHK=1', told(steps, 'cr0'));
    this.does('ste S1');
    this.does('cd');
    // Stage 2 maps 4 GiB to themselves: blocks of 1 GiB, AF, S2AP=3, Normal memory.
    for (let gib = 0; gib < 4; gib += 1) this.put(store(lay.s2 + gib * 8, gib * 2 ** 30 + 0x7fd));
  }

  /** Does a step; what it answers, if it does. */
  does(text: string): string | undefined {
    const [word, rest] = firstWord(text);
    const [name = '', where] = word.split('@');
    if (before.includes(name)) return undefined;
    const step = does[same[name] ?? name];
    if (step === undefined) throw new Error(`no step ${text}`);
    return step.call(this, rest, name, where);
  }

  /** Puts a stimulus and lets all come to rest; what it answers at once. */
  put(stimulus: Stimulus): Outcome {
    const entries = [...this.session.step(stimulus)];
    const outcome = outcomeOf(this.session.state, stimulus, entries);
    runTurns(this.session, (turns) => entries.push(...turns));
    this.entries.push(...entries);
    return outcome;
  }

  memory(pa: number): bigint {
    return this.session.state.memory.read64(pa);
  }

  read(register: RegisterName): bigint {
    const { offset, width } = registers.byName[register];
    const size = width / 8;
    return this.put({ type: 'mmio.read', smmu: 'smmu0', offset, size, actor: 'cpu0' })['value'] as bigint;
  }

  private enable(register: 'CR0' | 'CR2', base: string, changes: string): void {
    const { fields } = registers.byName[register];
    this.put(write(register, put(fields, put(fields, [0, 0], base), changes)[0] ?? 0));
  }

  /** Address of the descriptor of `ia` at `level` (`L3`), making tables on the way. */
  descriptorAt(stage: 's1' | 's2', ia: string, level: string): number {
    const shape = this.shapes[stage];
    let table = shape.root;
    for (let at = shape.start; ; at += 1) {
      const pa = table + indexAt(shape, BigInt(ia), at) * 8;
      if (at === Number(level.slice(1))) return pa;
      const held = this.memory(pa);
      if ((held & 3n) === 3n) table = Number(held & 0xffff_ffff_f000n);
      else {
        table = this.pool;
        this.pool += 0x1_0000;
        this.put(store(pa, outputBits(table, shape) | 3n));
      }
    }
  }

  map(stage: 's1' | 's2', rest: string, flags: typeof s1Flags, otherwise: string): undefined {
    const [ia = '', pa = '', ...words] = rest.split(/\s+/);
    const isLevel = (word: string): boolean => /^L\d$/.test(word);
    const level = words.find(isLevel) ?? 'L3';
    const bits = flagsOf(flags, words.find((word) => !isLevel(word)) ?? otherwise);
    const output = outputBits(Number(pa), this.shapes[stage]);
    this.put(store(this.descriptorAt(stage, ia, level), output | bits | (level === 'L3' ? 3n : 1n)));
  }

  command(words: Uint32Array): void {
    this.put(storeWords(lay.cmdq + (this.commands % 256) * 16, words));
    this.commands = (this.commands + 1) % 512;
    this.put(write('CMDQ_PROD', this.commands));
  }

  /** New records as hexadecimal doublewords, the highest first, from the queue's memory. */
  records(): string[] {
    const end = Number(this.read('EVENTQ_PROD') & 0x7_ffffn);
    const found: string[] = [];
    for (; this.recordsRead < end; this.recordsRead += 1) {
      const pa = lay.evtq + this.recordsRead * 32;
      const words = [24, 16, 8, 0].map((at) =>
        this.memory(pa + at)
          .toString(16)
          .padStart(16, '0'),
      );
      found.push(words.join(' '));
    }
    return found;
  }

  private recorded(): string {
    if (this.quiet) return '';
    const texts = this.records().map(recordText);
    return texts.length === 0 ? '' : ` ${texts.join(' + ')}`;
  }

  access(how: string, rest: string): string {
    const [iova = '', ...words] = rest.split(/\s+/);
    this.entries = [];
    const { result, pa, pieces } = this.put({
      type: 'dma',
      iova: BigInt(iova),
      access: how === 'w' ? 'write' : 'read',
      ...optionsOf(words),
      ...(how === 'x' ? { exec: true } : {}),
      ...(words.includes('t') ? { translated: true } : {}),
    });
    const raz = this.entries.some((each) => each.type === 'access.terminated' && each.result === 'raz-wi');
    const shown = Array.isArray(pieces) || raz ? ends(this.entries) : [shownPiece(`${result}`, pa)];
    this.entries = [];
    return shown.join(', ') + this.recorded();
  }

  /** How what was stalled ended, or that it stalled anew. */
  stalled(): string {
    const shown = ends(this.entries);
    this.entries = [];
    return shown.length === 0 ? 'none' : shown.join(', ') + this.recorded();
  }

  request(rest: string): string {
    const [iova = '', ...words] = rest.split(/\s+/);
    const { result, pa, bytes, perms } = this.put({
      type: 'ats.translate',
      iova: BigInt(iova),
      access: words.includes('w') ? 'write' : 'read',
      ...optionsOf(words),
      ...(words.includes('x') ? { exec: true } : {}),
    });
    const span = bytes === undefined ? '' : ` ${hex(bytes as number)} ${perms === '' ? 'none' : perms}`;
    return shownPiece(`${result}`, pa) + span + this.recorded();
  }
}
