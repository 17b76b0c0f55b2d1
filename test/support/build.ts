/**
 * Builds small machines for tests: an enabled SMMU with a linear stream table, one CD, and page
 * tables whose descriptors tests write through ordinary stores. Addresses are fixed so that a
 * failing test can be read.
 */
import type { MachineConfig, SmmuConfig } from '../../core/config.ts';
import { encode } from '../../core/layout/layout.ts';
import { CD, type Cd } from '../../core/smmu/cd.ts';
import { type CommandFields, type CommandName, encodeCommand } from '../../core/smmu/command-layout.ts';
import { type RegisterName, registers } from '../../core/smmu/registers.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { STE, type Ste } from '../../core/smmu/ste.ts';
import { initialState, type State } from '../../core/state.ts';
import type { Stimulus } from '../../core/stimulus.ts';

export const at = {
  strtab: 0x1_0000,
  cd: 0x2_0000,
  cmdq: 0x3_0000,
  evtq: 0x4_0000,
  /** Level 0 table; the levels below follow, a page each. */
  table: 0x10_0000,
  /** Where mapped pages lie. */
  data: 0x100_0000,
} as const;

export const SID = 8;
export const ASID = 5;

const IDR = { IDR0: 0x0d40_101a, IDR1: 0x0273_0010, IDR3: 0x1404, IDR5: 0x74, IIDR: 0, AIDR: 1 };

/** A stage 1 machine of one SMMU and one endpoint `dev0`; anything may be overridden. */
export function machine(
  overrides: Partial<MachineConfig> = {},
  smmu: Partial<SmmuConfig> = {},
): MachineConfig {
  return {
    ram: [{ base: 0, size: 2 ** 32 }],
    smmus: [
      {
        name: 'smmu0',
        base: 0x900_0000,
        profile: 'test',
        idr: IDR,
        caches: { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded' },
        invalidation: 'literal',
        replacement: 'oldest',
        choices: {},
        ...smmu,
      },
    ],
    endpoints: [{ name: 'dev0', smmu: 'smmu0', streamId: SID, ats: false, pri: false, ssidBits: 0, atc: 0 }],
    schedule: 'eager',
    seed: 1,
    ...overrides,
  };
}

export function reset(config: MachineConfig): State {
  return initialState(config, resetRegisters);
}

export function write(register: RegisterName, value: number | bigint): Stimulus {
  const { offset, width } = registers.byName[register];
  return { type: 'mmio.write', smmu: 'smmu0', offset, size: width / 8, value: BigInt(value), actor: 'cpu0' };
}

export function read(register: RegisterName): Stimulus {
  const { offset, width } = registers.byName[register];
  return { type: 'mmio.read', smmu: 'smmu0', offset, size: width / 8, actor: 'cpu0' };
}

/** Stores doublewords at `pa`. */
export function store(pa: number, ...values: (number | bigint)[]): Stimulus {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    view.setBigUint64(index * 8, BigInt(value), true);
  });
  return { type: 'mem.write', pa, bytes, actor: 'cpu0' };
}

export function storeWords(pa: number, words: Uint32Array): Stimulus {
  return { type: 'mem.write', pa, bytes: new Uint8Array(words.slice().buffer), actor: 'cpu0' };
}

export function dma(iova: number | bigint, access: 'read' | 'write' = 'read', size = 8): Stimulus {
  return { type: 'dma', endpoint: 'dev0', iova: BigInt(iova), size, access };
}

export function ste(fields: Partial<Ste> = {}): Uint32Array {
  return encode(STE, { V: true, Config: 'S1', S1ContextPtr: at.cd, SHCFG: 'USE_INCOMING', ...fields });
}

export function cd(fields: Partial<Cd> = {}): Uint32Array {
  return encode(CD, {
    V: true,
    AA64: true,
    T0SZ: 16,
    TG0: '4KB',
    TTB0: at.table,
    EPD1: true,
    IPS: 4,
    ASID,
    A: true,
    R: true,
    ASET: true,
    ...fields,
  });
}

/** Brings the SMMU up as a driver does: tables, queues, invalidate all, enable. */
export function bringUp(): Stimulus[] {
  return [
    storeWords(at.strtab + SID * 64, ste()),
    storeWords(at.cd, cd()),
    write('CR1', 0xd75),
    write('CR2', 2),
    write('STRTAB_BASE', at.strtab),
    write('STRTAB_BASE_CFG', 8),
    write('CMDQ_BASE', BigInt(at.cmdq) | 8n),
    write('CMDQ_PROD', 0),
    write('CMDQ_CONS', 0),
    write('EVENTQ_BASE', BigInt(at.evtq) | 7n),
    write('EVENTQ_PROD', 0),
    write('EVENTQ_CONS', 0),
    write('CR0', 0x8),
    write('CR0', 0xc),
    write('IRQ_CTRL', 5),
    write('CR0', 0xd),
  ];
}

/** Level 0 to 3 tables that lead to the first 2 MiB of input addresses. */
export function tables(): Stimulus[] {
  return [0, 1, 2].map((level) =>
    store(at.table + level * 0x1000, BigInt(at.table + (level + 1) * 0x1000) | 3n),
  );
}

/** Bits of a level 3 descriptor of a page that both privilege levels may read and write. */
export const PAGE_RW = 0xf43n | (1n << 11n);

/** Where the level 3 descriptor of an input address below 2 MiB stands. */
export function leafPa(iova: number): number {
  return at.table + 0x3000 + (iova >>> 12) * 8;
}

export function map(iova: number, pa: number, bits: bigint = PAGE_RW): Stimulus {
  return store(leafPa(iova), BigInt(pa) | bits);
}

export function unmap(iova: number): Stimulus {
  return store(leafPa(iova), 0);
}

/** Puts commands into the queue from pointer `from` and rings PROD. */
export function issue(from: number, ...commands: Uint32Array[]): Stimulus[] {
  const stores = commands.map((words, index) => storeWords(at.cmdq + ((from + index) % 256) * 16, words));
  return [...stores, write('CMDQ_PROD', (from + commands.length) % 512)];
}

export function command<N extends CommandName>(
  name: N,
  fields: Partial<Omit<CommandFields<N>, 'Opcode'>> = {},
): Uint32Array {
  return encodeCommand(name, fields);
}
