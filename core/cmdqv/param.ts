/** What the PARAM register of a Tegra241 CMDQV says. The unit stands beside an SMMU whose choice `tegra241Param` gives it. */

import { uint } from '../layout/field.ts';
import { decode, layout } from '../layout/layout.ts';

export const PARAM = layout(
  'PARAM',
  { bytes: 4, spec: 'tegra241-cmdqv.c' },
  {
    VER: uint(3, 0),
    VCMDQ_LOG2: uint(7, 4),
    VINTF_LOG2: uint(11, 8),
    SID_PER_VM_LOG2: uint(15, 12),
  },
);

export interface Cmdqv {
  readonly version: number;
  /** Virtual interfaces, the host's own (0) included. */
  readonly vintfs: number;
  /** log2 of the logical queues of one. */
  readonly queuesLog2: number;
  /** log2 of the pairs of StreamIDs of one. */
  readonly sidsLog2: number;
}

type Choices = Readonly<Record<string, boolean | number | string>>;

/** The unit beside an SMMU with these choices; undefined where there is none. */
export function cmdqvIn(choices: Choices): Cmdqv | undefined {
  const param = Number(choices['tegra241Param'] ?? 0);
  if (param === 0) return undefined;
  const { VER, VCMDQ_LOG2, VINTF_LOG2, SID_PER_VM_LOG2 } = decode(PARAM, [param]);
  return {
    version: VER,
    vintfs: 2 ** VINTF_LOG2,
    queuesLog2: Math.max(0, VCMDQ_LOG2 - VINTF_LOG2),
    sidsLog2: SID_PER_VM_LOG2,
  };
}

/** All its queues, those of the host's interface included. */
export function queueCount(choices: Choices): number {
  const unit = cmdqvIn(choices);
  return unit === undefined ? 0 : unit.vintfs * 2 ** unit.queuesLog2;
}
