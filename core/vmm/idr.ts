/**
 * The ID registers that a guest sees, and the checks of a VMM against those of the host. QEMU:
 * hw/arm/smmuv3-accel.c, smmuv3_accel_check_hw_compatible.
 */
import type { Register } from '../layout/register.ts';
import { registers } from '../smmu/registers.ts';
import type { SmmuProperties } from '../vm/state.ts';
import type { VmmPolicies } from './profiles.ts';

type Idr = Readonly<Record<string, number>>;
type RegisterName = 'IDR0' | 'IDR1' | 'IDR3' | 'IDR5';

/** A field that the VMM compares: what the host must have, beside what the guest is told. */
export interface CheckRow {
  readonly register: RegisterName;
  readonly field: string;
  /** How the host's value stands to the guest's. */
  readonly must: 'equal' | 'at least' | 'at most';
}

// biome-ignore format: a table
export const checks: Readonly<Record<VmmPolicies['checks'], readonly CheckRow[]>> = {
  qemu: [
    { register: 'IDR0', field: 'ST_LEVEL',  must: 'equal' },
    { register: 'IDR0', field: 'TTENDIAN',  must: 'at most' },
    { register: 'IDR0', field: 'TTF',       must: 'at least' },
    { register: 'IDR0', field: 'ATS',       must: 'at least' },
    { register: 'IDR1', field: 'SIDSIZE',   must: 'at least' },
    { register: 'IDR1', field: 'SSIDSIZE',  must: 'at least' },
    { register: 'IDR3', field: 'RIL',       must: 'at least' },
    { register: 'IDR5', field: 'OAS',       must: 'at least' },
    { register: 'IDR5', field: 'GRAN4K',    must: 'equal' },
    { register: 'IDR5', field: 'GRAN16K',   must: 'equal' },
    { register: 'IDR5', field: 'GRAN64K',   must: 'equal' },
  ],
  openvmm: [
    { register: 'IDR5', field: 'OAS',       must: 'at least' },
    { register: 'IDR0', field: 'TTF',       must: 'at least' },
    { register: 'IDR0', field: 'TTENDIAN',  must: 'at most' },
    { register: 'IDR5', field: 'GRAN4K',    must: 'at least' },
  ],
  none: [],
};

/** A field of an ID register, as a number. */
export function idrField(idr: Idr, register: RegisterName, field: string): number {
  const { fields }: Register = registers.byName[register];
  const read = fields[field];
  return read === undefined ? 0 : Number(read.read([idr[register] ?? 0]));
}

/** Why the host cannot serve the guest, or undefined. */
export function idrProblem(policy: VmmPolicies['checks'], host: Idr, guest: Idr): string | undefined {
  for (const { register, field, must } of checks[policy]) {
    const [has, told] = [idrField(host, register, field), idrField(guest, register, field)];
    const good = must === 'equal' ? has === told : must === 'at least' ? has >= told : has <= told;
    if (!good) return `${register}.${field}: the host has ${has}, ${must} ${told} is needed`;
  }
  return undefined;
}

/** Encodings of IDR5.OAS by their bits (IHI 0070 6.3.6). */
const OAS_BITS: readonly number[] = [32, 36, 40, 42, 44, 48, 52, 56];

/** Fields that Cloud Hypervisor lets a guest see only where the host has them. */
const GATED = ['COHACC', 'ASID16', 'VMID16', 'CD2L'] as const;
const GRANULES = ['GRAN4K', 'GRAN16K', 'GRAN64K'] as const;

type Change = { readonly register: RegisterName; readonly field: string; readonly value: number };

/** The registers with the properties that say a value; those that say `auto` take the host's, when it is known. */
export function withProperties(idr: Idr, properties: SmmuProperties, host?: Idr): Idr {
  const rows = [
    { given: properties.ril, register: 'IDR3', field: 'RIL' },
    { given: properties.ats, register: 'IDR0', field: 'ATS' },
    { given: properties.ssidsize, register: 'IDR1', field: 'SSIDSIZE' },
    {
      given: typeof properties.oas === 'number' ? OAS_BITS.indexOf(properties.oas) : properties.oas,
      register: 'IDR5',
      field: 'OAS',
    },
  ] as const;
  const changes = rows.flatMap(({ given, register, field }): Change[] => {
    if (given === undefined) return [];
    if (given !== 'auto') return [{ register, field, value: Number(given) }];
    return host === undefined ? [] : [{ register, field, value: idrField(host, register, field) }];
  });
  return changed(idr, changes);
}

/** The registers as the VMM composes them when it has seen those of the host. */
export function composed(policy: VmmPolicies['ids'], idr: Idr, host: Idr, ats: boolean): Idr {
  const oas = idrField(host, 'IDR5', 'OAS');
  if (policy === 'own') return idr;
  if (policy === 'oas') return changed(idr, [{ register: 'IDR5', field: 'OAS', value: oas }]);
  const gated = GATED.filter((field) => idrField(host, 'IDR0', field) === 0);
  const granules = GRANULES.filter((field) => idrField(host, 'IDR5', field) === 0);
  const none = GRANULES.every((field) => idrField(idr, 'IDR5', field) === 0 || granules.includes(field));
  return changed(idr, [
    ...gated.map((field) => ({ register: 'IDR0', field, value: 0 }) as const),
    { register: 'IDR0', field: 'ATS', value: ats ? 1 : 0 },
    { register: 'IDR1', field: 'SSIDSIZE', value: idrField(host, 'IDR1', 'SSIDSIZE') },
    { register: 'IDR5', field: 'OAS', value: Math.min(oas, idrField(idr, 'IDR5', 'OAS')) },
    ...(none ? [] : granules.map((field) => ({ register: 'IDR5', field, value: 0 }) as const)),
  ]);
}

function changed(idr: Idr, changes: readonly Change[]): Idr {
  const out: Record<string, number> = { ...idr };
  for (const { register, field, value } of changes) {
    const { fields }: Register = registers.byName[register];
    const found = fields[field];
    if (found === undefined) continue;
    const words = [out[register] ?? 0];
    found.write(words, typeof found.read(words) === 'boolean' ? value === 1 : value);
    out[register] = (words[0] ?? 0) >>> 0;
  }
  return out;
}
