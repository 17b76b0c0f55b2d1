/**
 * Identification fields of an SMMU that the uAPI's documentation lets a VMM read, and hw_info cut down to what
 * works for a VM, as critics of the raw registers asked (mail `hwInfo` of `uapi/proposed.ts`).
 */
import { mask } from '../../layout/layout.ts';
import { registers } from '../../smmu/registers.ts';
import type { State } from '../../state.ts';

type Listed = Readonly<Partial<Record<'IDR0' | 'IDR1' | 'IDR3' | 'IDR5', readonly string[]>>>;

// biome-ignore format: a table
const listed: Listed = {
  IDR0: ['TTF', 'ASID16', 'CD2L', 'TTENDIAN', 'STALL_MODEL', 'TERM_MODEL', 'ST_LEVEL'],
  IDR1: ['SIDSIZE', 'SSIDSIZE'],
  IDR3: ['RIL', 'BBML'],
  IDR5: ['GRAN4K', 'GRAN16K', 'GRAN64K', 'VAX'],
};

/** What is not listed, and works all the same: every nested HWPT needs it. */
const working: Listed = { IDR0: ['S1P', 'COHACC'], IDR5: ['OAS'] };

type Named = keyof Listed;

/** HTTU of an SMMU that works: the register's, cut down to what firmware says. */
export function workingHttu(state: State, smmu: string): number {
  const register = state.smmus[smmu]?.features.httu ?? 0;
  return Math.min(register, state.drivers[smmu]?.setup.platform.httu ?? register);
}

/** The bits of an identification register that are left. @param ds IDR5.DS is listed, from 7.3 on */
export function sanitised(register: string, value: number, ds: boolean): number {
  if (!Object.hasOwn(listed, register)) return 0;
  const name = register as Named;
  const fields = [
    ...(listed[name] ?? []),
    ...(working[name] ?? []),
    ...(ds && name === 'IDR5' ? ['DS'] : []),
  ];
  return (value & (mask(registers.byName[name], fields)[0] ?? 0)) >>> 0;
}
