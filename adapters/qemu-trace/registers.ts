/** Register accesses of the CPUs: writes are put to the machine, reads are put and compared. */
import type { Entry } from '../../core/event.ts';
import { writableBits } from '../../core/layout/register.ts';
import { type RegisterName, registers } from '../../core/smmu/registers.ts';
import type { Bench } from './bench.ts';
import type { DeviationName } from './deviations.ts';
import { at } from './emulator.ts';
import type { LineOf } from './events.ts';
import { entriesOf } from './live.ts';
import { SMMU } from './machine.ts';
import { showDifference } from './tally.ts';

const PAGE1 = 0x10000;
/** Registers that the architecture has on page 1: EVENTQ_PROD, EVENTQ_CONS, PRIQ_PROD, PRIQ_CONS. */
const ON_PAGE1: readonly number[] = [0xa8, 0xac, 0xc8, 0xcc];
const ERR_BITS = 0x7f00_0000n;
const OVFLG = 0x8000_0000n;

/** Where the architecture has the register that the emulator reaches at this offset. */
export function placeOf(offset: number): number {
  const base = offset & 0xffff;
  return ON_PAGE1.includes(base) ? PAGE1 + base : base;
}

/** Puts the write. Returns what followed. */
export function writeRegister(bench: Bench, line: LineOf<'cap_mmio_write'>): readonly Entry[] {
  const { live, tally, emulator } = bench;
  const base = line.off & 0xffff;
  emulator.write(base, line.size, line.val);
  const offset = placeOf(line.off);
  if (offset !== line.off) tally.deviation('page1-alias');
  if (line.size === 8 && !emulator.takesWide(base)) {
    tally.deviation('wide-access-lost');
    live.note(
      'deviation',
      `wide-access-lost: 64-bit write of 0x${line.val.toString(16)} to 0x${base.toString(16)}`,
      line.line,
    );
    return [];
  }
  const steps = live.put({
    type: 'mmio.write',
    smmu: SMMU,
    offset,
    size: line.size,
    value: line.val,
    actor: `cpu${line.cpu}`,
    cpu: line.cpu,
    line: line.line,
  });
  const entries = [...entriesOf(steps)];
  const guarded = entries.find((entry) => entry.type === 'write.ignored' && entry.why.startsWith('guarded'));
  if (guarded?.type === 'write.ignored') {
    tally.deviation('no-guards');
    forceWritten(bench, guarded.register as RegisterName, line.line);
  }
  return entries;
}

/** The emulator took a write that ours refused: ours holds it too from now on. */
function forceWritten({ live, emulator }: Bench, name: RegisterName, line: number): void {
  const register = registers.byName[name];
  const bits = writableBits(register, () => false);
  const base = register.offset & 0xffff;
  const words = [0, 1].map((word) => (emulator.get(base + word * 4) & (bits[word] ?? 0)) >>> 0);
  const value =
    register.width === 64 ? (BigInt(words[1] ?? 0) << 32n) | BigInt(words[0] ?? 0) : BigInt(words[0] ?? 0);
  const event = { type: 'register.updated', actor: SMMU, smmu: SMMU, register: name, value, old: 0n };
  live.put({ type: 'observe', events: [event], line });
}

/** Puts the read and compares what it gives. */
export function readRegister(bench: Bench, line: LineOf<'smmuv3_read_mmio'>, cpu: number | undefined): void {
  const { live, tally } = bench;
  const offset = placeOf(line.addr);
  const steps = live.put({
    type: 'mmio.read',
    smmu: SMMU,
    offset,
    size: line.size,
    line: line.line,
    ...(cpu === undefined ? {} : { cpu, actor: `cpu${cpu}` }),
  });
  let actual = 0n;
  for (const entry of entriesOf(steps)) if (entry.type === 'register.read') actual = entry.value;
  tally.compared.register += 1;
  if (actual === line.val) return;
  const register = registers.at(offset)?.register.name ?? `0x${line.addr.toString(16)}`;
  const about = {
    line: line.line,
    what: `a read of ${register}`,
    expected: hex(line.val),
    actual: hex(actual),
  };
  const name = explainRead(bench, line, actual);
  if (name !== undefined) {
    tally.deviation(name);
    return;
  }
  tally.difference({ key: 'register', ...about });
  live.note('difference', showDifference(about), line.line);
}

function explainRead(
  { emulator }: Bench,
  line: LineOf<'smmuv3_read_mmio'>,
  actual: bigint,
): DeviationName | undefined {
  const base = line.addr & 0xffff;
  if (base >= 0xfd0 && base < 0x1000) return 'id-block';
  // Only what the emulator's own rules give is a habit.
  if (emulator.read(base, line.size) !== line.val) return undefined;
  const differing = actual ^ line.val;
  if (line.size === 8 && !emulator.takesWide(base)) return 'wide-access-lost';
  if (base === at.CR0ACK || base === at.IRQ_CTRLACK) return 'ack-extra-bits';
  if (base === at.GBPA || base === at.AGBPA || base === at.STATUSR) return 'gbpa-missing';
  if (base >= at.EVENTQ_IRQ_CFG0 && base <= 0xbc) return 'evtq-irq-cfg-raz';
  if (base === at.CMDQ_CONS && (differing & ~ERR_BITS) === 0n) return 'cons-err-stays';
  if (base === at.EVENTQ_PROD && differing === OVFLG) return 'evtq-full-is-abort';
  const register = registers.at(placeOf(base))?.register;
  if (register?.reset === 'UNKNOWN' && !emulator.wasWritten(base)) return 'unknown-at-reset';
  return reserved(base, line.size, differing) ? 'raw-readback' : undefined;
}

/** Whether all differing bits are such that the architecture keeps nothing in them, or no such register. */
function reserved(base: number, size: number, differing: bigint): boolean {
  const found = registers.at(placeOf(base));
  if (found === undefined) return true;
  // Absent registers (MSIs, PRI) and fields of absent features are RES0 in ours.
  if (/_IRQ_CFG|^PRIQ|^CR0$|^CR2$|^IRQ_CTRL$/.test(found.register.name)) return true;
  const mask = found.register.writeMask;
  const low = BigInt(mask[found.word] ?? 0);
  const bits = size === 8 ? (BigInt(mask[1] ?? 0) << 32n) | low : low;
  return (differing & bits) === 0n;
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
