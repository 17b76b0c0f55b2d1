/** What GET_HW_INFO tells of an SMMU (linux: arm-smmu-v3-iommufd.c, arm_smmu_hw_info; iommufd.h). */
import { present } from '../assert.ts';
import type { Errno } from '../kernel/errno.ts';
import type { State } from '../state.ts';

const DEFAULT = 0;
const ARM_SMMUV3 = 2;
const WORDS = ['flags', 'reserved', 'IDR0', 'IDR1', 'IDR2', 'IDR3', 'IDR4', 'IDR5', 'IIDR', 'AIDR'] as const;

/** The structure of a type, as bytes: the registers as they are. A driver without CMDQV has no other. */
export function hwInfoOf(
  state: State,
  smmu: string,
  type: number,
): { readonly type: number; readonly bytes: Uint8Array } | { readonly errno: Errno } {
  if (type !== DEFAULT && type !== ARM_SMMUV3) return { errno: 'EOPNOTSUPP' };
  const { idr } = present(state.smmus[smmu], `SMMU ${smmu}`).config;
  const bytes = new Uint8Array(WORDS.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [at, name] of WORDS.entries()) view.setUint32(at * 4, idr[name] ?? 0, true);
  return { type: ARM_SMMUV3, bytes };
}
