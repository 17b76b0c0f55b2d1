/**
 * Bits of registers, whole registers and sizes of queues that the SMMU does not have (IHI 0070 6.3). What drivers
 * set on every SMMU without looking is left alone (CR2.PTM, zeros in the MSI registers).
 */

import type { EntryOf } from '../../core/event.ts';
import { mask } from '../../core/layout/layout.ts';
import type { Features } from '../../core/smmu/features.ts';
import { registers } from '../../core/smmu/registers.ts';
import { regValue } from '../../core/smmu/regs.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { knownFrom } from './id-reads.ts';
import { byWriter, tell } from './tell.ts';
import type { RuleRun, Unit, World } from './world.ts';

interface Bits {
  readonly register: 'CR0' | 'CR2' | 'STRTAB_BASE_CFG' | 'IRQ_CTRL';
  readonly field: string;
  readonly offered: string;
  has(features: Features): boolean;
}

// biome-ignore format: a table
const bits: readonly Bits[] = [
  { register: 'CR0',             field: 'PRIQEN',      offered: 'IDR0.PRI',      has: (f) => f.pri },
  { register: 'CR0',             field: 'ATSCHK',      offered: 'IDR0.ATS',      has: (f) => f.ats },
  { register: 'CR0',             field: 'VMW',         offered: 'IDR0.VMW',      has: (f) => f.vmw },
  { register: 'CR2',             field: 'E2H',         offered: 'IDR0.Hyp',      has: (f) => f.hyp },
  { register: 'STRTAB_BASE_CFG', field: 'FMT',         offered: 'IDR0.ST_LEVEL', has: (f) => f.stLevel !== 0 },
  { register: 'IRQ_CTRL',        field: 'PRIQ_IRQEN',  offered: 'IDR0.PRI',      has: (f) => f.pri },
];

// biome-ignore format: a table
const sizes = [
  { enable: 8n, queue: 'CMDQ',   offered: 'IDR1.CMDQS',   most: (f: Features) => f.cmdqsLog2 },
  { enable: 4n, queue: 'EVENTQ', offered: 'IDR1.EVENTQS', most: (f: Features) => f.eventqsLog2 },
  { enable: 2n, queue: 'PRIQ',   offered: 'IDR1.PRIQS',   most: (f: Features) => f.priqsLog2 },
] as const;

// biome-ignore format: a table
const absent: readonly (readonly [names: RegExp, offered: string])[] = [
  [/^PRIQ_/,                          'IDR0.PRI'],
  [/_IRQ_CFG[01]$/,                   'IDR0.MSI'],
  [/^GATOS_/,                         'IDR0.ATOS'],
  [/^VATOS_/,                         'IDR0.VATOS'],
  [/^CMDQ_CONTROL_PAGE_|^ECMDQ/,      'IDR1.ECMDQ'],
];

/** A run over all registers. */
export function lackingRegisters(world: World): RuleRun {
  const told: Finding[] = [];
  return {
    told: () => told,
    handlers: {
      'register.written': (entry) => {
        const unit = world.units.get(entry.smmu);
        if (unit === undefined) return;
        missingBits(world, told, unit, entry);
        if (entry.register === 'CR0') tooLarge(world, told, unit, entry);
      },
      'write.ignored': (entry) => {
        const unit = world.units.get(entry.smmu);
        const row = absent.find(([names]) => names.test(entry.register));
        if (unit === undefined || row === undefined || entry.why !== 'RES0' || entry.value === 0n) return;
        const what = `${entry.register} = ${hex(entry.value)}: the register is not there`;
        told.push(notOffered(world, unit, row[1], entry, what));
      },
    },
  };
}

/** The write asked for more than the register took. */
function missingBits(world: World, told: Finding[], unit: Unit, entry: EntryOf<'register.written'>): void {
  const { stimulus } = world;
  if (stimulus?.type !== 'mmio.write' || stimulus.seq !== entry.cause || stimulus.size !== 4) return;
  for (const { register, field, offered, has } of bits) {
    if (register !== entry.register || has(unit.features)) continue;
    const asked = BigInt(mask(registers.byName[register], [field])[0] ?? 0) & stimulus.value;
    if (asked === 0n) continue;
    told.push(
      notOffered(world, unit, offered, entry, `${register} = ${hex(stimulus.value)}: ${field} stays 0`),
    );
  }
}

function tooLarge(world: World, told: Finding[], unit: Unit, entry: EntryOf<'register.written'>): void {
  for (const { enable, queue, offered, most } of sizes) {
    if ((entry.value & ~entry.old & enable) === 0n) continue;
    const asked = Number(regValue(unit.bare, `${queue}_BASE`) & 0x1fn);
    if (asked <= most(unit.features)) continue;
    const what = `${queue} enabled with LOG2SIZE ${asked}: hardware wraps at ${most(unit.features)}`;
    told.push(notOffered(world, unit, offered, entry, what));
  }
}

function notOffered(
  world: World,
  unit: Unit,
  offered: string,
  entry: { readonly seq: number; readonly cause: number },
  what: string,
): Finding {
  return tell(world, {
    rule: 'I10',
    title: `register-not-offered: ${unit.name} without ${offered}`,
    blame: byWriter(world, entry, what),
    needed: `${offered} read, and only what it offers used`,
    notes: [knownFrom(world, unit, offered)],
    capability: { smmu: unit.name, field: offered },
  });
}
