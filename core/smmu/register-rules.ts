/**
 * Access rules of registers beside those that their declarations say: what is there only with a feature
 * (IHI 0070 6.3), and why a whole write is IGNORED (6.2, 6.3).
 */
import type { Field } from '../layout/field.ts';
import { mask } from '../layout/layout.ts';
import type { Guard, Register } from '../layout/register.ts';
import { isInTransition } from './ecmdq.ts';
import { enhancedCount } from './ecmdq-registers.ts';
import type { Features } from './features.ts';
import type { Located } from './register-blocks.ts';
import type { EcmdqRegisterName, HeldName } from './registers.ts';
import { enabled, guardHolds, reg } from './regs.ts';
import type { SmmuState } from './state.ts';

type Has = (features: Features) => boolean;

/** Registers that are not there without a feature: RES0. The first row that names a register counts. */
// biome-ignore format: a table
const presence: readonly (readonly [names: RegExp, has: Has])[] = [
  [/^(GERROR|EVENTQ)_IRQ_CFG[012]$/, (f) => f.msi],
  // PRIQ_IRQ_CFG2 has LO without MSIs too (6.3.1, MSI).
  [/^PRIQ_IRQ_CFG[01]$/,             (f) => f.msi && f.pri],
  [/^PRIQ_/,                         (f) => f.pri],
  [/^GATOS_/,                        (f) => f.atos],
  [/^VATOS_/,                        (f) => f.vatos],
  [/^(MPAMIDR|GMPAM|GBPMPAM)$/,      (f) => f.mpam],
  [/^DPT_/,                          (f) => f.dpt],
  [/^CMDQ_CONTROL_PAGE_|^IDR6$/,     (f) => f.ecmdq],
  [/^S2PII$/,                        (f) => f.s2pi],
];

/** How many bits of a field an SMMU has; those above are RES0. */
type Bits = (features: Features) => number;

const all =
  (has: Has): Bits =>
  (features) =>
    has(features) ? 64 : 0;
/** Of an address field that begins at bit `lo`: up to the output address size. */
const oas =
  (lo: number): Bits =>
  (features) =>
    features.oas - lo;

const baseOfQueue = { ADDR: oas(5) };
const msiAddress = { ADDR: oas(2) };
const atosSid = {
  STREAMID: (f: Features) => f.sidBits,
  SUBSTREAMID: (f: Features) => f.ssidBits,
  SSID_VALID: all((f) => f.ssidBits !== 0),
};

// biome-ignore format: a table
const widths: Partial<Record<HeldName | EcmdqRegisterName, Readonly<Record<string, Bits>>>> = {
  CR0:      { PRIQEN: all((f) => f.pri), ATSCHK: all((f) => f.ats), VMW: all((f) => f.vmw), DPT_WALK_EN: all((f) => f.dpt) },
  CR2:      { E2H: all((f) => f.hyp), PTM: all((f) => f.btm), REC_CFG_ATS: all((f) => f.atsRecErr) },
  IRQ_CTRL: { PRIQ_IRQEN: all((f) => f.pri) },
  GERRORN:  {
    PRIQ_ABT_ERR: all((f) => f.pri), MSI_CMDQ_ABT_ERR: all((f) => f.msi), MSI_EVENTQ_ABT_ERR: all((f) => f.msi),
    MSI_PRIQ_ABT_ERR: all((f) => f.msi && f.pri), MSI_GERROR_ABT_ERR: all((f) => f.msi),
    CMDQP_ERR: all((f) => f.ecmdq), DPT_ERR: all((f) => f.dpt),
  },
  STRTAB_BASE:     { ADDR: oas(6) },
  STRTAB_BASE_CFG: { FMT: all((f) => f.stLevel !== 0), SPLIT: all((f) => f.stLevel !== 0) },
  CMDQ_BASE:       baseOfQueue,
  EVENTQ_BASE:     baseOfQueue,
  PRIQ_BASE:       baseOfQueue,
  ECMDQ_BASE:      baseOfQueue,
  GERROR_IRQ_CFG0: msiAddress,
  EVENTQ_IRQ_CFG0: msiAddress,
  PRIQ_IRQ_CFG0:   msiAddress,
  PRIQ_IRQ_CFG2:   { MemAttr: all((f) => f.msi), SH: all((f) => f.msi) },
  GATOS_SID:       atosSid,
  VATOS_SID:       atosSid,
  VATOS_SEL:       { VMID: (f) => (f.vmid16 ? 16 : 8) },
  DPT_BASE:        { BADDR: oas(12) },
};

const known = new WeakMap<Features, Map<string, Uint32Array>>();

/** The bits of a register that an SMMU with these features has and that a write may ever change. */
export function storedBits(register: Register, features: Features): Uint32Array {
  let ofFeatures = known.get(features);
  if (ofFeatures === undefined) {
    ofFeatures = new Map();
    known.set(features, ofFeatures);
  }
  let bits = ofFeatures.get(register.name);
  if (bits === undefined) {
    bits = Uint32Array.from(register.writeMask);
    for (const [name, width] of Object.entries(widths[register.name as HeldName] ?? {})) {
      const field = register.fields[name];
      if (field !== undefined) clear(bits, field, width(features));
    }
    ofFeatures.set(register.name, bits);
  }
  return bits;
}

/** Takes the bits of a field from its bit `from` on out of a mask. */
function clear(bits: Uint32Array, { hi, lo }: Pick<Field, 'hi' | 'lo'>, from: number): void {
  for (let bit = lo + Math.max(0, from); bit <= hi; bit += 1) {
    bits[bit >>> 5] = (bits[bit >>> 5] ?? 0) & ~(1 << (bit & 31));
  }
}

/** The row of each register that was asked for, found once: names are few, and each access asks. */
const conditions = new Map<string, Has | undefined>();

function conditionOf(name: string): Has | undefined {
  if (!conditions.has(name)) conditions.set(name, presence.find(([names]) => names.test(name))?.[1]);
  return conditions.get(name);
}

/** Whether the SMMU lacks the register. */
export function isAbsent(name: string, features: Features): boolean {
  return conditionOf(name)?.(features) === false;
}

/** Whether a guard of a register holds. CR1 is guarded by all enhanced queues, their own registers each by its own. */
export function isGuarded(smmu: SmmuState, guard: Guard, queue: number | undefined): boolean {
  if (guard !== 'ECMDQ.EN') return guardHolds(smmu, guard);
  if (queue !== undefined) return guardHolds(smmu, guard, queue);
  for (let each = 0; each < enhancedCount(smmu.features); each += 1)
    if (guardHolds(smmu, guard, each)) return true;
  return false;
}

/** The bits that a write may change now (6.2). */
export function openBits(smmu: SmmuState, { register, queue }: Located): Uint32Array {
  const stored = storedBits(register, smmu.features);
  if (register.guards.length === 0 && queue === undefined) return stored;
  const bits = stored.slice();
  for (const { guard, mask: guarded } of register.guards) {
    if (!isGuarded(smmu, guard, queue)) continue;
    for (let word = 0; word < bits.length; word += 1) {
      bits[word] = (bits[word] ?? 0) & ~(guarded[word] ?? 0);
    }
  }
  // While EN and ENACK differ, PROD is read-only too (6.3.108).
  if (register.name === 'ECMDQ_PROD' && queue !== undefined && isInTransition(smmu, queue)) bits.fill(0);
  return bits;
}

/** Registers whose new value must come in one write with Update=1 (6.3.14.1, 6.3.42, 6.3.43). */
const WITH_UPDATE: ReadonlySet<string> = new Set(['GBPA', 'GMPAM', 'GBPMPAM']);
/** Registers whose RUN may only be set while SMMUEN=1 (6.3.37). */
const WITH_SMMUEN: ReadonlySet<string> = new Set(['GATOS_CTRL', 'VATOS_CTRL']);

/**
 * Why the whole write is IGNORED, or undefined when some of it is taken.
 * @param written the words that were written, @param words the values, @param open the bits that may change.
 */
export function refusal(
  smmu: SmmuState,
  { register, queue }: Located,
  words: readonly number[],
  open: Uint32Array,
  written: readonly number[],
): string | undefined {
  const { name, access, guards } = register;
  if (isAbsent(name, smmu.features)) return 'RES0';
  if (access === 'RO') return 'read-only';
  if (written.every((word) => (open[word] ?? 0) === 0)) {
    const holding = guards.filter(({ guard }) => isGuarded(smmu, guard, queue));
    if (holding.length === 0) return 'read-only';
    return `guarded by ${holding.map(({ guard }) => guard).join(', ')}`;
  }
  const low = words[0] ?? 0;
  if (WITH_UPDATE.has(name) && low >>> 31 === 0) return 'Update=0';
  if (WITH_SMMUEN.has(name) && (low & 1) !== 0 && !enabled.smmu(smmu)) return 'SMMUEN=0';
  return undefined;
}

/**
 * A field whose handshake is not finished keeps its first value; a second write of it is CONSTRAINED
 * UNPREDICTABLE (6.3.9, 6.3.16).
 */
export function keepInTransition(smmu: SmmuState, register: Register, value: number): number {
  const ack = acknowledgedBy[register.name];
  if (ack === undefined) return value;
  const held = reg(smmu, register.name as HeldName);
  const differing = held ^ reg(smmu, ack);
  if (differing === 0) return value;
  let moving = 0;
  for (const name of Object.keys(register.fields)) {
    const bits = mask(register, [name])[0] ?? 0;
    if ((differing & bits) !== 0) moving |= bits;
  }
  return ((value & ~moving) | (held & moving)) >>> 0;
}

const acknowledgedBy: Readonly<Record<string, HeldName>> = { CR0: 'CR0ACK', IRQ_CTRL: 'IRQ_CTRLACK' };
