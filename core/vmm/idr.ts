/**
 * The ID registers that a guest sees, and the checks of a VMM against those of the host. QEMU:
 * hw/arm/smmuv3-accel.c, smmuv3_accel_check_hw_compatible.
 */
import type { Register } from '../layout/register.ts';
import { registers } from '../smmu/registers.ts';
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
