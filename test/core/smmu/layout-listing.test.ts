/**
 * Holds every layout of the SMMU against a listing made from the specification independently of the
 * code (test/data/smmuv3-layout.json), both ways: nothing missing, nothing extra, every bit in its
 * place. Then the worked encodings of that listing, to words and back.
 */
import { describe, expect, it } from 'vitest';
import { type AnyField, decode, encode, type Layout, show } from '../../../core/layout/layout.ts';
import type { Register } from '../../../core/layout/register.ts';
import { CD, L1CD } from '../../../core/smmu/cd.ts';
import {
  addressSizes,
  atosFaultCodes,
  cerrors,
  prgResponseCodes,
  queueBaseAlignBytesMin,
  queueSizeLog2Max,
  queues,
} from '../../../core/smmu/codes.ts';
import {
  commandAliases,
  commandByOpcode,
  commandLayouts,
  encodeCommand,
} from '../../../core/smmu/command-layout.ts';
import * as descriptors from '../../../core/smmu/descriptor.ts';
import {
  encodeEventRecord,
  eventRecordByNumber,
  eventRecords,
  impdefEventFirst,
  impdefEventLast,
  PRI_ENTRY,
} from '../../../core/smmu/event-record.ts';
import {
  ecmdqRegisters,
  guardBits,
  PAGE1,
  parFault,
  registers,
  vatosRegisters,
} from '../../../core/smmu/registers.ts';
import { L1STD, STE, steConfig } from '../../../core/smmu/ste.ts';
import listing from '../../data/smmuv3-layout.json' with { type: 'json' };

type Any = Layout<Record<string, AnyField>>;
type ListedField = { name: string; hi: number; lo: number };
type Listed = { name: string; section?: string; fields: readonly ListedField[] };
type ListedRegister = Listed & { offset: number; width: number; access: string; reset?: string };
type Sample = {
  kind: string;
  name: string;
  note: string;
  fields: Record<string, number>;
  dwords?: string[];
  value?: string;
};

const structures: Record<string, Any> = { L1STD, STE, L1CD, CD };
const descriptorLayouts = descriptors as unknown as Record<string, Any>;
const faults: Record<string, Any> = parFault;

const listedDescriptors = listing.descriptors['VMSAv8-64'];
// The other members of the listing's section are lists of rules, which the walker holds.
const descriptorNames = ['S1_TABLE', 'S2_TABLE', 'S1_LEAF', 'S2_LEAF'] as const;
const blocks = listing.registerBlocks as unknown as Record<string, { registers: ListedRegister[] }>;

/** Sorted `name[hi:lo]`; a field that stands at one place in two views of a register counts once. */
function bits(...lists: (readonly ListedField[])[]): string[] {
  return [...new Set(lists.flat().map(({ name, hi, lo }) => `${name}[${hi}:${lo}]`))].sort();
}

function fieldsOf(of: Any): ListedField[] {
  return Object.entries(of.fields).map(([name, { hi, lo }]) => ({ name, hi, lo }));
}

function expectRegister(of: Register, listed: ListedRegister): void {
  const { name, offset, width, access } = of;
  expect({ name, offset, width, access }).toEqual({
    name: listed.name,
    offset: listed.offset,
    width: listed.width,
    access: listed.access,
  });
  // The listing merges what PAR holds with FAULT=0 and with FAULT=1, and calls FADDR ADDR.
  const fault = faults[name];
  const views = fault === undefined ? [] : fieldsOf(fault);
  const renamed = views.map((field) => (field.name === 'FADDR' ? { ...field, name: 'ADDR' } : field));
  expect(bits(fieldsOf(of), renamed)).toEqual(bits(listed.fields));
  expect(of.bytes * 8).toBe(listed.width);
  if (listed.section !== undefined) expect(of.spec).toBe(listed.section);
}

function resetText(of: Register): RegExp {
  if (of.name === 'GBPA') return /^Update=0, rest IMPDEF$/;
  if (of.name === 'PRIQ_PROD') return /^WR UNKNOWN, OVFLG 0$/;
  if (of.name === 'DPT_CFG_FAR') return /^FAULT=0$/;
  return new RegExp(`^${of.reset}( \\(IMPDEF if preset\\))?$`);
}

describe('registers', () => {
  const listed = listing.registers as readonly ListedRegister[];

  it('are those of the listing, in offset order', () => {
    expect(registers.list.map(({ name }) => name)).toEqual(listed.map(({ name }) => name));
    const offsets = registers.list.map(({ offset }) => offset);
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
  });

  it.each(listed.map((each) => [each.name, each] as const))('%s', (_, each) => {
    const found = registers.at(each.offset);
    expect(found?.word).toBe(0);
    expectRegister(found!.register, each);
    expect(each.reset).toMatch(resetText(found!.register));
    if (each.width === 64) {
      expect(registers.at(each.offset + 4)).toEqual({ register: found!.register, word: 1 });
    }
  });

  it('has page 1 where the listing has it', () => {
    for (const each of listing.registers) {
      expect(Math.floor(each.offset / PAGE1), each.name).toBe(each.page);
    }
  });

  it.each([
    ['VATOS', vatosRegisters.list],
    ['ECMDQ', ecmdqRegisters.list],
  ] as const)('the %s block', (name, list: readonly Register[]) => {
    const block = blocks[name]!.registers;
    expect(list.map((each) => each.name)).toEqual(block.map((each) => each.name));
    for (const [index, each] of list.entries()) expectRegister(each, block[index]!);
  });

  it('the CMDQ_CONTROL_PAGE block is among them', () => {
    for (const name of listing.registerBlocks.CMDQ_CONTROL_PAGE.registers) {
      expect(registers.byName).toHaveProperty(name);
    }
  });

  it('are guarded as 6.3 says', () => {
    const guarded = Object.fromEntries(
      registers.list
        .filter((each) => each.guards.length > 0)
        .map((each) => [each.name, each.guards.map(({ guard }) => guard).join(' ')]),
    );
    // biome-ignore format: a table
    expect(guarded).toEqual({
      CR1:             'SMMUEN CMDQEN EVENTQEN PRIQEN ECMDQ.EN',
      CR2:             'SMMUEN',
      GBPA:            'GBPA.Update',
      GERROR_IRQ_CFG0: 'GERROR_IRQEN',
      GERROR_IRQ_CFG1: 'GERROR_IRQEN',
      GERROR_IRQ_CFG2: 'GERROR_IRQEN',
      STRTAB_BASE:     'SMMUEN TABLES_PRESET',
      STRTAB_BASE_CFG: 'SMMUEN TABLES_PRESET',
      CMDQ_BASE:       'CMDQEN QUEUES_PRESET',
      CMDQ_CONS:       'CMDQEN',
      EVENTQ_BASE:     'EVENTQEN QUEUES_PRESET',
      EVENTQ_IRQ_CFG0: 'EVENTQ_IRQEN',
      EVENTQ_IRQ_CFG1: 'EVENTQ_IRQEN',
      EVENTQ_IRQ_CFG2: 'EVENTQ_IRQEN',
      PRIQ_BASE:       'PRIQEN QUEUES_PRESET',
      PRIQ_IRQ_CFG0:   'PRIQ_IRQEN',
      PRIQ_IRQ_CFG1:   'PRIQ_IRQEN',
      PRIQ_IRQ_CFG2:   'PRIQ_IRQEN',
      GATOS_CTRL:      'GATOS.RUN',
      GATOS_SID:       'GATOS.RUN',
      GATOS_ADDR:      'GATOS.RUN',
      GMPAM:           'GMPAM.Update',
      GBPMPAM:         'GBPMPAM.Update',
      VATOS_SEL:       'VATOS.RUN',
      DPT_BASE:        'DPT_WALK_EN',
      DPT_BASE_CFG:    'DPT_WALK_EN',
      EVENTQ_PROD:     'EVENTQEN',
      PRIQ_PROD:       'PRIQEN',
    });
  });

  it('have the bits that the guards name', () => {
    const all: readonly Register[] = [...registers.list, ...vatosRegisters.list, ...ecmdqRegisters.list];
    for (const [guard, places] of Object.entries(guardBits)) {
      for (const [name, field] of places) {
        const found = all.find((each) => each.name === name)?.fields[field];
        expect(found?.kind, `${guard}: ${name}.${field}`).toBe('flag');
      }
    }
    for (const each of all) for (const { guard } of each.guards) expect(guardBits).toHaveProperty([guard]);
  });

  it('write only what 6.3.28 lets software write of CMDQ_CONS', () => {
    expect(registers.byName.CMDQ_CONS.writeMask).toEqual(Uint32Array.of(0xfffff));
  });
});

describe('structures', () => {
  it('are those of the listing', () => {
    expect(Object.keys(structures).sort()).toEqual(Object.keys(listing.structures).sort());
  });

  it.each(Object.entries(listing.structures))('%s', (name, listed) => {
    const of = structures[name]!;
    expect(of.spec).toBe(listed.section);
    expect(of.bytes * 8).toBe(listed.bits);
    expect(bits(fieldsOf(of))).toEqual(bits(listed.fields));
  });

  it('abort for every Config of 0b0xx', () => {
    for (const Config of [0, 1, 2, 3]) {
      expect(steConfig(decode(STE, Uint32Array.of(1 | (Config << 1))))).toBe('ABORT');
    }
    expect(steConfig({ Config: 'NESTED' })).toBe('NESTED');
  });
});

describe('descriptors', () => {
  it.each(descriptorNames)('%s', (name) => {
    const of = descriptorLayouts[name]!;
    expect(of.bytes * 8).toBe(listedDescriptors[name].bits);
    expect(bits(fieldsOf(of))).toEqual(bits(listedDescriptors[name].fields));
  });

  it('are those of the listing', () => {
    const listed = Object.entries(listedDescriptors).filter(([, of]) => !Array.isArray(of));
    expect(listed.map(([name]) => name).sort()).toEqual([...descriptorNames].sort());
    expect(Object.keys(descriptors).sort()).toEqual([...descriptorNames].sort());
  });
});

describe('commands', () => {
  const listed = listing.commands as readonly (Listed & { opcode: number; bits: number })[];

  it('are those of the listing, in opcode order', () => {
    expect(Object.keys(commandLayouts)).toEqual(listed.map(({ name }) => name));
  });

  it.each(listed.map((each) => [each.name, each] as const))('%s', (name, each) => {
    const command = commandByOpcode(each.opcode)!;
    expect(command).toBe(commandLayouts[name as keyof typeof commandLayouts]);
    expect(command.name).toBe(name);
    expect(command.spec).toBe(each.section);
    expect(command.layout.bytes * 8).toBe(each.bits);
    expect(bits(fieldsOf(command.layout))).toEqual(bits(each.fields));
  });

  it('leave the other opcodes without a command', () => {
    const opcodes = Array.from({ length: 256 }, (_, opcode) => opcode);
    const known = opcodes.filter((opcode) => commandByOpcode(opcode) !== undefined);
    expect(known).toEqual(listed.map(({ opcode }) => opcode));
  });

  it('have the aliases of the listing', () => {
    const aliases = Object.entries(commandAliases).map(([name, { of, when, spec }]) => ({
      name,
      of,
      when,
      section: spec,
    }));
    expect(aliases).toEqual(listing.commandAliases);
  });

  it('encode with their opcode', () => {
    const words = encodeCommand('CMD_TLBI_NH_VA', { VMID: 3, ASID: 7, Leaf: true, Address: 0x7f1234567000 });
    expect(dwords(words)).toEqual(['0x0007000300000012', '0x00007f1234567001']);
  });
});

describe('event records', () => {
  const listed = listing.events as readonly (Listed & { opcode: number; bits: number })[];

  it('are those of the listing, in order', () => {
    expect(Object.keys(eventRecords)).toEqual(listed.map(({ name }) => name));
  });

  it.each(listed.map((each) => [each.name, each] as const))('%s', (name, each) => {
    const record = eventRecordByNumber(each.opcode)!;
    expect(record).toBe(eventRecords[name as keyof typeof eventRecords]);
    expect(record.spec).toBe(each.section);
    expect(record.layout.bytes * 8).toBe(each.bits);
    expect(bits(fieldsOf(record.layout))).toEqual(bits(each.fields));
    expect(record.mayStall).toBe(each.fields.some((field) => field.name === 'Stall'));
  });

  it('leave the IMPLEMENTATION DEFINED numbers alone', () => {
    for (let number = impdefEventFirst; number <= impdefEventLast; number += 1) {
      expect(eventRecordByNumber(number)).toBeUndefined();
    }
  });

  it('encode with their number', () => {
    const words = encodeEventRecord('C_BAD_STREAMID', { StreamID: 0x12345 });
    expect(dwords(words)[0]).toBe('0x0001234500000002');
  });
});

it('the PRI queue entry', () => {
  const { bits: size, entryBytes, section, fields } = listing.priq;
  expect(PRI_ENTRY.spec).toBe(section);
  expect(PRI_ENTRY.bytes).toBe(entryBytes);
  expect(PRI_ENTRY.bytes * 8).toBe(size);
  expect(bits(fieldsOf(PRI_ENTRY))).toEqual(bits(fields));
});

describe('codes', () => {
  it('command errors and queues', () => {
    expect(cerrors).toEqual(listing.cerror);
    const { maxLog2Size, minBaseAlignBytes, ...entries } = listing.queues;
    expect(queues).toEqual(entries);
    expect(queueSizeLog2Max).toBe(maxLog2Size);
    expect(queueBaseAlignBytesMin).toBe(minBaseAlignBytes);
  });

  /** Our tables by the listing's names. */
  const tables: Record<string, Readonly<Record<string, number>> | undefined> = {
    'STE.Config': STE.fields.Config.names,
    'STE.S1Fmt': STE.fields.S1Fmt.names,
    'STE.S1DSS': STE.fields.S1DSS.names,
    'STE.EATS': STE.fields.EATS.names,
    'STE.STRW': STE.fields.STRW.names,
    'event.CLASS': eventRecords.F_TRANSLATION.layout.fields.CLASS.names,
    'CMD_SYNC.CS': commandLayouts.CMD_SYNC.layout.fields.CS.names,
    'CMD_PRI_RESP.Resp': commandLayouts.CMD_PRI_RESP.layout.fields.Resp.names,
    'PRG.ResponseCode': prgResponseCodes,
    addressSize: Object.fromEntries(addressSizes.map((size, code) => [String(code), size])),
    'ATOS.FAULTCODE.extra': atosFaultCodes,
  };

  /** The listing writes InvalidRequest and S1S2 where we write INVALID_REQUEST and NESTED. */
  const plain = (names: Readonly<Record<string, number>>) =>
    Object.fromEntries(
      Object.entries(names).map(([name, value]) => {
        const flat = name.replaceAll('_', '').toUpperCase();
        return [flat === 'S1S2' ? 'NESTED' : flat, value];
      }),
    );

  it.each(Object.entries(listing.enums))('%s', (name, values) => {
    expect(plain(tables[name]!)).toEqual(plain(values));
  });

  it('granules, which every field numbers in its own way', () => {
    for (const { name, tg0, tg1, s2tg, tlbiTG } of listedDescriptors.granules) {
      const codesOf = [
        CD.fields.TG0,
        CD.fields.TG1,
        STE.fields.S2TG,
        commandLayouts.CMD_TLBI_NH_VA.layout.fields.TG,
      ];
      const size = `${name}B` as '4KB' | '16KB' | '64KB';
      expect(codesOf.map((field) => field.names?.[size])).toEqual([tg0, tg1, s2tg, tlbiTG]);
    }
  });

  it('are all of the listing', () => {
    expect(Object.keys(tables)).toEqual(Object.keys(listing.enums));
  });
});

/** Words as the listing writes them: 64-bit hexadecimal, lowest first. */
function dwords(words: Uint32Array): string[] {
  return Array.from({ length: words.length / 2 }, (_, index) => {
    const value = (BigInt(words[index * 2 + 1]!) << 32n) | BigInt(words[index * 2]!);
    return `0x${value.toString(16).padStart(16, '0')}`;
  });
}

function wordsOf({ dwords: doubles, value }: Sample, bytes: number): Uint32Array {
  const all = (doubles ?? [value!]).flatMap((text) => {
    const raw = BigInt(text);
    return [Number(raw & 0xffffffffn), Number(raw >> 32n)];
  });
  return Uint32Array.from(all.slice(0, bytes / 4));
}

function layoutOf({ kind, name }: Sample): Any {
  switch (kind) {
    case 'command':
      return commandLayouts[name as keyof typeof commandLayouts].layout;
    case 'event':
      return eventRecords[name as keyof typeof eventRecords].layout;
    case 'register':
      return registers.byName[name as keyof typeof registers.byName];
    case 'structure':
      return structures[name]!;
    case 'descriptor':
      return descriptorLayouts[name]!;
    case 'priq':
      return PRI_ENTRY;
    default:
      throw new Error(`a sample of a kind that is not known: ${kind}`);
  }
}

/** A raw field value of the listing as our field decodes it. */
function decodedValue(field: AnyField, raw: number): unknown {
  switch (field.kind) {
    case 'flag':
      return raw === 1;
    case 'uint':
      return raw;
    case 'addr':
      return raw * 2 ** (field.lo & 63);
    case 'u64':
      return BigInt(raw) << BigInt(field.lo & 63);
    case 'oneOf':
      return Object.entries(field.names ?? {}).find(([, value]) => value === raw)?.[0] ?? 'RESERVED';
  }
}

describe('samples', () => {
  const samples = listing.samples as unknown as readonly Sample[];

  it.each(samples.map((each) => [`${each.name} ${each.note}`, each] as const))('%s', (_, sample) => {
    const of = layoutOf(sample);
    // The output address of a leaf is not a field: the walker takes it by granule and level.
    const { outputAddress = 0, ...raw } = sample.fields;
    const isTable = of.fields['NLTA'] !== undefined;
    const values: Record<string, unknown> = isTable ? { NLTA: outputAddress } : {};
    for (const [name, value] of Object.entries(raw)) {
      expect(of.fields, name).toHaveProperty(name);
      values[name] = decodedValue(of.fields[name]!, value);
    }
    const outside = isTable ? 0 : outputAddress;
    const expected = wordsOf(sample, of.bytes);
    const words = encode(of, values);
    words[0] = (words[0]! | outside) >>> 0;
    expect(words).toEqual(expected);

    const zero = decode(of, new Uint32Array(of.bytes / 4));
    expect(decode(of, expected)).toEqual({ ...zero, ...values });
  });
});

describe('show', () => {
  it.each([
    [
      'STE',
      /^STE \{ V=1 Config=S1 S1ContextPtr=0x80040000 S1CIR=WB_RA S1COR=WB_RA S1CSH=ISH EATS=FULL SHCFG=USE_INCOMING \}$/,
    ],
    ['CD', /^CD \{ T0SZ=0x10 IR0=WB_RA_WA .* ASID=7 TTB0=0x80050000 MAIR0=0x444ff \}$/],
    [
      'CMD_SYNC',
      /^CMD_SYNC \{ Opcode=0x46 CS=SIG_IRQ MSH=ISH MSIAttr=0xf MSIData=0x1234 MSIAddress=0x80001000 \}$/,
    ],
    [
      'F_TRANSLATION',
      /^F_TRANSLATION \{ EventID=0x10 SSV=1 SubstreamID=5 StreamID=0x10 RnW=1 CLASS=IN InputAddr=0x7f1234567abc \}$/,
    ],
    [
      'PRI entry',
      /^PRI_ENTRY \{ StreamID=0x10 SubstreamID=5 R=1 W=1 Last=1 SSV=1 PRGIndex=9 PageAddr=0x7f1234567000 \}$/,
    ],
    ['CMDQ_CONS', /^CMDQ_CONS \{ RD=3 ERR=CERROR_ILL \}$/],
    ['STRTAB_BASE_CFG', /^STRTAB_BASE_CFG \{ LOG2SIZE=0x10 SPLIT=8 FMT=TWO_LEVEL \}$/],
    ['L1STD', /^L1STD \{ Span=9 L2Ptr=0x80100000 \}$/],
  ])('%s', (name, text) => {
    const shown = (listing.samples as unknown as readonly Sample[])
      .filter((sample) => sample.name === name)
      .map((sample) => show(layoutOf(sample), wordsOf(sample, layoutOf(sample).bytes)));
    expect(
      shown.some((each) => text.test(each)),
      shown.join('\n'),
    ).toBe(true);
  });

  it('names something in every sample that is not zero', () => {
    for (const sample of listing.samples as unknown as readonly Sample[]) {
      const of = layoutOf(sample);
      const words = wordsOf(sample, of.bytes);
      const isZero = words.every((word) => word === 0);
      expect(show(of, words)).toMatch(isZero ? /^\w+ \{ \}$/ : /^\w+ \{( \w+=\S+)+ \}$/);
    }
  });
});
