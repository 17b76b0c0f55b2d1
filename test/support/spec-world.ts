/**
 * Scenarios as lines of text, for tests that are written from the specification: a row says how the
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
 *     pri VA read|write|none [last] [prg=1]     a Page Request
 *     reg NAME VALUE / set PATH VALUE           a register; a setting
 *     stalled                                   how stalled accesses ended or stalled anew
 *     quiet / records                           accesses tell no records; all records since the last, raw
 *     s1? VA [L3] / s2? IPA [L3]                a descriptor as it is in memory
 */

import type { Entry } from '../../core/event.ts';
import { encode } from '../../core/layout/layout.ts';
import { openSession } from '../../core/machine.ts';
import { outcomeOf } from '../../core/outcome.ts';
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
import { recordText } from './spec-record.ts';
import {
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
  const world = openWorld(said.map(([step = '']) => step));
  return said.flatMap(([step = '', wanted]) => {
    const given = world.does(step);
    return given === wanted ? [] : [`${step} -> ${given ?? 'nothing'}, not ${wanted ?? 'nothing'}`];
  });
}

interface World {
  /** Does a step; what it answers, if it does. */
  does(step: string): string | undefined;
}

const firstWord = (step: string): [string, string] => {
  const at = step.indexOf(' ');
  return at < 0 ? [step, ''] : [step.slice(0, at), step.slice(at + 1).trim()];
};

/** The machine that these steps are for, brought up. */
function openWorld(steps: readonly string[]): World {
  const told = (word: string): string =>
    steps
      .map(firstWord)
      .filter(([each]) => each === word)
      .map(([, rest]) => rest)
      .join(' ');
  const own = Object.fromEntries(
    pairs(told('choice')).map(([name, value]) => [name, value === '1' || value === 'true']),
  );
  const caches = Object.fromEntries(pairs(told('cache')).map(([name, value]) => [name, Number(value)]));
  const smmu = {
    idr: withFields(profiles.everything.idr, told('idr')),
    choices: { ...defaultChoices(), ...own },
    caches: { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded', ...caches } as never,
    invalidation: steps.includes('generous') ? ('generous' as const) : ('literal' as const),
  };
  const endpoint = {
    name: 'dev0',
    smmu: 'smmu0',
    streamId: SID,
    ats: true,
    pri: true,
    ssidBits: 20,
    atc: 'unbounded' as const,
  };
  const ram = [
    { base: 0, size: 2 ** 32 },
    { base: 2 ** 47, size: 2 ** 32 },
    { base: 2 ** 51, size: 2 ** 32 },
  ];
  const other = { ...endpoint, name: 'dev1', streamId: SID + 1 };
  const session = openSession(reset(machine({ endpoints: [endpoint, other], ram }, smmu)));
  const entries: Entry[] = [];
  const seen: string[] = [];
  let pool: number = lay.pool;
  let pointer = 0;
  let read = 0;
  let quiet = false;
  let shown = 0;
  const shapes: Record<string, Shape> = {
    s1: { root: lay.s1, granule: 12, inputBits: 48, start: 0, ds: false },
    s2: { root: lay.s2, granule: 12, inputBits: 39, start: 1, ds: false },
  };

  const step = (stimulus: Stimulus): Entry[] => {
    const more = [...session.step(stimulus)];
    runTurns(session, (turns) => more.push(...turns));
    entries.push(...more);
    return more;
  };
  const memory = (pa: number): bigint => session.state.memory.read64(pa);
  const set = (register: RegisterName, value: number | bigint): void => void step(write(register, value));
  const reg = (register: RegisterName, text: string, base: string): void => {
    const words = put(registers.byName[register].fields as never, [0, 0], base);
    put(registers.byName[register].fields as never, words, text);
    set(register, words[0] ?? 0);
  };

  /** Address of the descriptor of `ia` at `level`, making tables on the way. */
  const descriptorAt = (stage: string, ia: bigint, level: number): number => {
    const shape = shapes[stage.slice(0, 2)] as Shape;
    const stride = shape.granule - 3;
    let table = shape.root;
    for (let at = shape.start; ; at += 1) {
      const shift = shape.granule + (3 - at) * stride;
      const bits = at === shape.start ? shape.inputBits - shift : stride;
      const index = Number((ia >> BigInt(shift)) & ((1n << BigInt(Math.max(bits, 0))) - 1n));
      const pa = table + index * 8;
      if (at === level) return pa;
      const held = memory(pa);
      if ((held & 3n) === 3n) table = Number(held & 0xffff_ffff_f000n);
      else {
        table = pool;
        pool += 0x1_0000;
        step(store(pa, outputBits(table, shape) | 3n));
      }
    }
  };
  const flagsOf = (all: Readonly<Record<string, bigint>>, text: string): bigint =>
    text.split(',').reduce((sum, name) => {
      const value = all[name];
      if (value === undefined) throw new Error(`no flag ${name}`);
      return sum | value;
    }, 0n);

  const mapping = (stage: 's1' | 's2', rest: string): void => {
    const words = rest.split(/\s+/);
    const ia = BigInt(words[0] ?? '');
    const pa = Number(words[1]);
    const level = Number(words.find((word) => /^L\d$/.test(word))?.slice(1) ?? 3);
    const told = words.slice(2).find((word) => !/^L\d$/.test(word));
    const flags =
      stage === 's1' ? flagsOf(s1Flags, told ?? S1_DEFAULT) : flagsOf(s2Flags, told ?? S2_DEFAULT);
    const shape = shapes[stage] as Shape;
    step(store(descriptorAt(stage, ia, level), outputBits(pa, shape) | flags | (level === 3 ? 3n : 1n)));
  };

  /** `abort F_PERMISSION/w s2.TT ipa=0x101000`: what was recorded, taken from the queue's bytes. */
  const record = (): string => {
    if (quiet) return '';
    const texts = records().map(recordText);
    return texts.length === 0 ? '' : ` ${texts.join(' + ')}`;
  };
  const records = (): string[] => {
    const end = Number(readRegister('EVENTQ_PROD') & 0x7ffffn);
    const found: string[] = [];
    for (; read < end; read += 1) {
      const pa = lay.evtq + read * 32;
      found.push(
        [3, 2, 1, 0]
          .map((at) =>
            memory(pa + at * 8)
              .toString(16)
              .padStart(16, '0'),
          )
          .join(' '),
      );
    }
    return found;
  };
  const readRegister = (register: RegisterName): bigint => {
    const { offset, width } = registers.byName[register];
    const asked: Stimulus = { type: 'mmio.read', smmu: 'smmu0', offset, size: width / 8, actor: 'cpu0' };
    return outcomeOf(session.state, asked, session.step(asked))['value'] as bigint;
  };

  const options = (words: readonly string[]) => {
    const ss = words.find((word) => word.startsWith('ss='));
    const n = words.find((word) => word.startsWith('n='));
    return {
      endpoint: words.includes('dev1') ? 'dev1' : 'dev0',
      ...(ss === undefined ? {} : { ssid: Number(ss.slice(3)) }),
      size: n === undefined ? 1 : Number(n.slice(2)),
      ...(words.includes('p') ? { privileged: true } : {}),
    };
  };
  const access = (how: string, rest: string): void => {
    const [iova = '', ...words] = rest.split(/\s+/);
    const asked: Stimulus = {
      type: 'dma',
      iova: BigInt(iova),
      access: how === 'w' ? 'write' : 'read',
      ...options(words),
      ...(how === 'x' ? { exec: true } : {}),
      ...(words.includes('t') ? { translated: true } : {}),
    };
    const more = [...session.step(asked)];
    const outcome = outcomeOf(session.state, asked, more);
    runTurns(session, (turns) => more.push(...turns));
    entries.push(...more);
    const raz = more.some((entry) => entry.type === 'access.terminated' && entry.result === 'raz-wi');
    const pa =
      typeof outcome['pa'] === 'number' && !raz ? ` 0x${(outcome['pa'] as number).toString(16)}` : '';
    const pieces = (outcome['pieces'] as readonly { result: string; pa?: number }[] | undefined)?.map(
      (each) => `${each.result}${each.pa === undefined ? '' : ` 0x${each.pa.toString(16)}`}`,
    );
    shown = entries.length;
    seen.push(
      (pieces === undefined ? `${raz ? 'raz' : outcome['result']}${pa}` : pieces.join(', ')) + record(),
    );
  };
  const ats = (rest: string): void => {
    const [iova = '', ...words] = rest.split(/\s+/);
    const asked: Stimulus = {
      type: 'ats.translate',
      iova: BigInt(iova),
      access: words.includes('w') ? 'write' : 'read',
      ...options(words),
      ...(words.includes('x') ? { exec: true } : {}),
    };
    const more = [...session.step(asked)];
    const outcome = outcomeOf(session.state, asked, more);
    runTurns(session, (turns) => more.push(...turns));
    entries.push(...more);
    const pa = outcome['pa'] === undefined ? '' : ` 0x${(outcome['pa'] as number).toString(16)}`;
    const span = outcome['bytes'] === undefined ? '' : ` 0x${Number(outcome['bytes']).toString(16)}`;
    const perms =
      outcome['perms'] === undefined ? '' : ` ${outcome['perms'] === '' ? 'none' : outcome['perms']}`;
    seen.push(`${outcome['result']}${pa}${span}${perms}${record()}`);
  };
  const command = (words: Uint32Array): void => {
    step(storeWords(lay.cmdq + (pointer % 256) * 16, words));
    pointer = (pointer + 1) % 512;
    set('CMDQ_PROD', pointer);
  };

  const does = (text: string): void => {
    const [word, rest] = firstWord(text);
    const [name, where] = word.split('@') as [string, string | undefined];
    if (['idr', 'choice', 'cache', 'cr0', 'cr2', 'generous'].includes(name)) return;
    if (name === 'ste') {
      const [base, fields] = firstWord(rest);
      const words = put(STE.fields, encode(STE, {}), bases[base] ?? base);
      put(STE.fields, words, fields);
      if (where === undefined || Number(where) === SID) shapes['s2'] = stage2Shape(words, lay.s2);
      step(storeWords(lay.strtab + Number(where ?? SID) * 64, words));
    } else if (name === 'cd') {
      const words = put(CD.fields, put(CD.fields, encode(CD, {}), CD_BASE), rest);
      if (where === undefined) shapes['s1'] = stage1Shape(words, lay.s1);
      step(storeWords(Number(where ?? lay.cd), words));
    } else if (name === 's1' || name === 's2') mapping(name, rest);
    else if (name === 's1t' || name === 's2t' || name === 's1at' || name === 's2at') {
      const [ia = '', level = '', value = ''] = rest.split(/\s+/);
      const pa = descriptorAt(name, BigInt(ia), Number(level.slice(1)));
      step(store(pa, name.endsWith('at') ? BigInt(value) : memory(pa) | flagsOf(s1Flags, value)));
    } else if (name === 's1?' || name === 's2?') {
      const [ia = '', level = 'L3'] = rest.split(/\s+/);
      seen.push(
        `0x${memory(descriptorAt(name.slice(0, 2), BigInt(ia), Number(level.slice(1)))).toString(16)}`,
      );
    } else if (name === 'q') {
      const [pa = '', ...values] = rest.split(/\s+/);
      step(store(Number(pa), ...values.map(BigInt)));
    } else if (name === 'q?') seen.push(`0x${memory(Number(rest)).toString(16)}`);
    else if (name === 'r' || name === 'w' || name === 'x') access(name, rest);
    else if (name === 'ats') ats(rest);
    else if (name === 'cmd') {
      const [op, fields] = firstWord(rest);
      command(
        put(commandLayouts[op as CommandName].layout.fields, encodeCommand(op as CommandName, {}), fields),
      );
      command(encodeCommand('CMD_SYNC', {}));
      const error = (readRegister('GERROR') ^ readRegister('GERRORN')) & 1n;
      if (error === 1n) seen.push(`CERROR ${(readRegister('CMDQ_CONS') >> 24n) & 0x7fn}`);
    } else if (name === 'reg') {
      const [register, value] = firstWord(rest);
      set(register as RegisterName, BigInt(value));
    } else if (name === 'tlbi') {
      const [operation, fields] = firstWord(rest);
      const given = pairs(fields).map(([field, value]) => [
        field,
        field === 'va'
          ? BigInt(value)
          : /^(el2|e2h)$/.test(field)
            ? value === '1'
            : field === 'tg'
              ? value
              : Number(value),
      ]);
      step({ type: 'cpu.tlbi', operation, ...Object.fromEntries(given) } as Stimulus);
    } else if (name === 'set') {
      const [path, value] = firstWord(rest);
      step({ type: 'set', path, value: JSON.parse(value) } as Stimulus);
    } else if (name === 'pri') {
      const [iova = '', how = 'read', ...words] = rest.split(/\s+/);
      const { size: _, ...given } = options(words);
      step({
        type: 'pri.request',
        iova: BigInt(iova),
        access: how as 'read',
        prgIndex: Number(words.find((w) => w.startsWith('prg='))?.slice(4) ?? 0),
        last: words.includes('last'),
        ...given,
      });
    } else if (name === 'stalled') {
      const ends = pieceEnds(entries.slice(shown));
      shown = entries.length;
      seen.push(ends.join(', ') + record());
    } else if (name === 'quiet') quiet = true;
    else if (name === 'records') seen.push(records().join(' + '));
    else throw new Error(`no step ${text}`);
  };

  step(storeWords(lay.strtab + SID * 64, new Uint32Array(16)));
  set('CR1', 0xd75);
  reg('CR2', told('cr2'), '');
  set('STRTAB_BASE', lay.strtab);
  set('STRTAB_BASE_CFG', 8);
  set('CMDQ_BASE', BigInt(lay.cmdq) | 8n);
  set('EVENTQ_BASE', BigInt(lay.evtq) | 8n);
  set('PRIQ_BASE', BigInt(lay.priq) | 4n);
  reg('CR0', told('cr0'), 'SMMUEN=1 EVENTQEN=1 CMDQEN=1 PRIQEN=1 ATSCHK=1');
  does('ste S1');
  does('cd');
  for (let gib = 0; gib < 4; gib += 1) step(store(lay.s2 + gib * 8, BigInt(gib * 2 ** 30) | 0x7fdn));
  return {
    does(step) {
      const before = seen.length;
      does(step);
      return seen[before];
    },
  };
}

/** How accesses ended: those that were stalled, when something let them go. */
function pieceEnds(entries: readonly Entry[]): string[] {
  return entries.flatMap((entry) =>
    entry.type === 'access.completed'
      ? [`ok 0x${entry.pa.toString(16)}`]
      : entry.type === 'access.terminated'
        ? [entry.result]
        : entry.type === 'access.stalled'
          ? ['stall']
          : [],
  );
}
