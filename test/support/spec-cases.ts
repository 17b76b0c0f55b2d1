/**
 * Cases written from IHI 0070 as text, and run as a scenario runs: each step becomes a line of the
 * vocabulary. `# 6.3.9 what it shows` begins a case; its steps stand a line each, or parted by `;`.
 *
 *     on PROFILE A=1 ...     the machine (`everything` when left out), identification fields that differ
 *     REG = 1                writes a register; `[0x94] = 1` and `[0x90:8] = 1` an offset, of 4 or 8 bytes
 *     REG ? 1                reads it and expects 1; `?& MASK 1` expects 1 under a mask
 *     mem PA = 1 2           stores doublewords; `mem PA ? 1 2` expects them, `mem PA bus-error`
 *     put SLOT CMD A=1 ...   a command into the Command queue's memory, or two doublewords `raw LO HI`;
 *     put Q:SLOT ...         likewise into that of enhanced queue Q
 *     up                     stream table, Command queue and Event queue enabled, interrupts too; one stream
 *     ste A=1, cd A=1        the STE or CD of that stream with fields changed; map VA PA: a page, `map VA`: none
 *     dma read VA RESULT     of 8 bytes, `write` likewise, `dma read VA abort F_ACCESS` with its record
 *     turn UNIT, idle UNIT   a turn that moves something, or does not; run: all that is due
 *     raised A B             interrupts, MSIs and wake-up events since the last such step, exactly these; `-`: none
 *     noted RULE, quiet      a remark since the last such step; none
 *     {"op": ...}            any line, with its own `expect`
 */
import { ScenarioRunner } from '../../adapters/scenario/runner.ts';
import type { Entry } from '../../core/event.ts';
import { writeBits } from '../../core/layout/field.ts';
import { Simulation } from '../../core/simulation.ts';
import { CD } from '../../core/smmu/cd.ts';
import { type CommandName, commandLayouts, encodeCommand } from '../../core/smmu/command-layout.ts';
import { profiles } from '../../core/smmu/profiles.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { STE } from '../../core/smmu/ste.ts';
import { initialState } from '../../core/state.ts';
import { put, withFields } from './tables.ts';

/** Where the cases have their structures; `ring` are the enhanced queues, 4 KiB each. */
export const place = {
  strtab: 0x4001_0000,
  cd: 0x4002_0000,
  cmdq: 0x4100_0000,
  evtq: 0x4200_0000,
  priq: 0x4300_0000,
  table: 0x4005_0000,
  ring: 0x4400_0000,
} as const;

export interface SpecCase {
  readonly title: string;
  readonly steps: readonly string[];
}

/** The cases of a text. */
export function specCases(text: string): readonly SpecCase[] {
  const cases: { title: string; steps: string[] }[] = [];
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line.startsWith('# ')) cases.push({ title: line.slice(2), steps: [] });
    else if (line.startsWith('{')) cases.at(-1)?.steps.push(line);
    else if (line !== '') cases.at(-1)?.steps.push(...line.split(';').map((each) => each.trim()));
  }
  return cases;
}

/** What went otherwise than the case says, each with its step. */
export function wrongSteps({ steps }: SpecCase): readonly string[] {
  const entries: Entry[] = [];
  const runner = new ScenarioRunner({
    begin: (config) => {
      const made = new Simulation(initialState(config, resetRegisters));
      made.entries$.subscribe((more) => entries.push(...more));
      return made;
    },
    label: (name) => ({ position: name }),
  });
  const wrong: string[] = [];
  let from = 0;
  const since = (): readonly Entry[] => entries.slice(from);
  for (const step of steps) {
    const remark = remarkOf(step, since());
    if (remark !== undefined) {
      if (remark !== '') wrong.push(`${step}: ${remark}`);
      from = entries.length;
      continue;
    }
    const first = runner.simulation === undefined && !/^on\b|^\{"op":"machine"/.test(step) ? ['on'] : [];
    for (const line of [...first, step].flatMap(linesOf)) {
      const { failed } = runner.run(line, { file: step, line: 1 });
      wrong.push(...failed.map(({ field, actual }) => `${step}: ${field} is ${JSON.stringify(actual)}`));
    }
  }
  return wrong;
}

/** Of a step that looks at what happened: what was wrong, nothing, or undefined for another step. */
function remarkOf(step: string, since: readonly Entry[]): string | undefined {
  const [verb = '', ...words] = step.split(/\s+/);
  if (verb === 'raised') {
    const found = since.flatMap((entry) => {
      if (entry.type === 'interrupt.raised') return [entry.source];
      if (entry.type === 'msi.sent') return [`msi:${entry.source}`];
      return entry.type === 'event.sent' ? [`sev:${entry.source}`] : [];
    });
    const expected = words[0] === '-' ? '' : words.join(' ');
    return found.join(' ') === expected ? '' : `found ${found.join(' ') || 'none'}`;
  }
  const notes = since.flatMap((entry) => (entry.type === 'misuse.noted' ? [entry.rule] : []));
  if (verb === 'noted') return notes.includes(words[0] ?? '') ? '' : `found ${notes.join(' ') || 'none'}`;
  if (verb === 'quiet') return notes.length === 0 ? '' : `found ${notes.join(' ')}`;
  return undefined;
}

type Line = Readonly<Record<string, unknown>>;

function linesOf(step: string): readonly Line[] {
  if (step.startsWith('{')) return [JSON.parse(step) as Line];
  const [verb = '', ...words] = step.split(/\s+/);
  const shorthand = shorthands[verb];
  if (shorthand !== undefined) return linesOf(shorthand(words));
  if (verb === 'on') return [machineLine(words)];
  if (verb === 'up') return up().flatMap(linesOf);
  if (verb === 'turn' || verb === 'idle')
    return [{ op: 'turn', unit: `smmu0.${words[0]}`, expect: { moved: verb === 'turn' } }];
  if (verb === 'run') return [{ op: 'run' }];
  if (verb === 'set') return [{ op: 'set', path: words[0], value: JSON.parse(words[1] ?? '') as unknown }];
  if (verb === 'check')
    return [{ op: 'check', path: words[0], equals: JSON.parse(words.slice(1).join(' ')) }];
  if (verb === 'put') return [putLine(words)];
  if (verb === 'mem') return [memoryLine(words)];
  return [registerLine(verb, words)];
}

function machineLine(words: readonly string[]): Line {
  const [profile = 'everything', ...rest] = words;
  const manual = rest.includes('manual');
  const caches = { ste: 0, cd: 0, tlb: 0, walk: 0 };
  const features = rest.filter((word) => word.includes('=') && !word.includes(':'));
  const choices = rest.filter((word) => word.includes(':=')).map((word) => word.split(':='));
  const idr = withFields(profiles[profile as keyof typeof profiles].idr, features.join(' '));
  return {
    op: 'machine',
    ram: [{ base: '0x40000000', size: '0x8000000' }],
    smmus: [
      {
        name: 'smmu0',
        profile,
        idr,
        ...(rest.includes('cold') ? { caches } : {}),
        choices: Object.fromEntries(
          choices.map(([name, value]) => [name, JSON.parse(value ?? '') as unknown]),
        ),
      },
    ],
    endpoints: [{ name: 'dev0', smmu: 'smmu0', streamId: 8, ssidBits: 8, atc: 'unbounded' }],
    schedule: manual ? 'manual' : 'eager',
  };
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/** Doublewords of a structure. */
function u64s(words: Uint32Array): string[] {
  return Array.from({ length: words.length / 2 }, (_, at) =>
    hex((BigInt(words[at * 2 + 1] ?? 0) << 32n) | BigInt(words[at * 2] ?? 0)),
  );
}

const STE_FIELDS = `V Config=5 S1ContextPtr=${place.cd} SHCFG=1`;
const CD_FIELDS = `V AA64 T0SZ=16 TG0=0 EPD1 IPS=5 ASID=5 A R ASET TTB0=${place.table} MAIR0=0xff`;
/** Read and write for both privilege levels, AF, inner shareable, nG. */
const PAGE = 0xf43n;

/** A structure with these fields, in memory. */
function stored(pa: number, fields: typeof STE.fields | typeof CD.fields, text: string): string {
  return `mem ${hex(pa)} = ${u64s(put(fields, new Uint32Array(16), text)).join(' ')}`;
}

/** Steps that stand for another, by their verb. */
const shorthands: Readonly<Record<string, (words: readonly string[]) => string>> = {
  ste: (words) => stored(place.strtab + 8 * 64, STE.fields, `${STE_FIELDS} ${words.join(' ')}`),
  cd: (words) => stored(place.cd, CD.fields, `${CD_FIELDS} ${words.join(' ')}`),
  map: ([va = '', pa]) =>
    `mem ${hex(place.table + 0x3000 + (Number(va) >>> 12) * 8)} = ${pa === undefined ? 0 : hex(BigInt(pa) | PAGE)}`,
  dma: ([access, iova, result, event]) =>
    JSON.stringify({ op: 'dma', endpoint: 'dev0', iova, bytes: 8, access, expect: { result, event } }),
};

function up(): string[] {
  const next = [1, 2, 3].map((level) => place.table + level * 0x1000);
  return [
    'ste',
    'cd',
    ...next.map((each) => `mem ${hex(each - 0x1000)} = ${hex(each | 3)}`),
    'CR1 = 0xd75',
    'CR2 = 2',
    `STRTAB_BASE = ${hex(place.strtab)}`,
    'STRTAB_BASE_CFG = 8',
    `CMDQ_BASE = ${hex(place.cmdq | 4)}`,
    `EVENTQ_BASE = ${hex(place.evtq | 4)}`,
    'CR0 = 0xd; IRQ_CTRL = 7; run',
  ].flatMap((each) => each.split('; '));
}

function putLine(words: readonly string[]): Line {
  const [where = '', name = '', ...fields] = words;
  const [queue, slot] = where.includes(':') ? where.split(':') : [undefined, where];
  const base = queue === undefined ? place.cmdq : place.ring + Number(queue) * 0x1000;
  return { op: 'mem.write', pa: hex(base + Number(slot) * 16), u64: commandWords(name, fields) };
}

function commandWords(name: string, fields: readonly string[]): string[] {
  if (name === 'raw') return fields.slice(0, 2);
  const full = `CMD_${name}` as CommandName;
  const words = encodeCommand(full, {});
  // Bits by position, for what no field names: `[9]=1`.
  const [bits, named] = [
    fields.filter((each) => each.startsWith('[')),
    fields.filter((each) => !each.startsWith('[')),
  ];
  put(commandLayouts[full].layout.fields, words, named.join(' '));
  for (const [, at, value] of bits.map((each) => /\[(\d+)\]=(\d)/.exec(each) ?? []))
    writeBits(words, Number(at), Number(at), Number(value));
  return u64s(words);
}

function memoryLine(words: readonly string[]): Line {
  const [pa, sign, ...values] = words;
  if (sign === '=') return { op: 'mem.write', pa, u64: values };
  if (sign !== '?') return { op: 'mem.read', pa, bytes: 8, expect: { result: sign } };
  const digits = values.map((value) => BigInt(value).toString(16).padStart(16, '0'));
  const bytes = digits.map((each) => each.match(/../g)?.reverse().join('')).join('');
  return { op: 'mem.read', pa, bytes: values.length * 8, expect: { hex: bytes } };
}

function registerLine(target: string, words: readonly string[]): Line {
  const [sign, value] = words;
  const [, offset, size] = /^\[(0x[0-9a-f]+)(?::(\d))?\]$/.exec(target) ?? [];
  const which = offset === undefined ? { reg: target } : { offset, ...(size ? { size: Number(size) } : {}) };
  if (sign === '=') return { op: 'mmio.write', smmu: 'smmu0', ...which, value };
  if (sign !== '?') throw new Error(`no such step: ${target} ${words.join(' ')}`);
  return { op: 'mmio.read', smmu: 'smmu0', ...which, expect: { value } };
}
