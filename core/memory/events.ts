/** Facts about memory. One store of a doubleword or less is `memory.written`; more is `memory.loaded`. */
import { bytes, int, pa, u64 } from '../schema.ts';

export const memoryEvents = {
  /** The aligned doubleword at `pa` became `value`; `old` stood there before. */
  'memory.written': { pa: pa(), value: u64(), old: u64() },
  /** `bytes` now stand at `pa`. */
  'memory.loaded': { pa: pa(), bytes: bytes() },
  'memory.read': { pa: pa(), size: int() },
  /** The address is not RAM, or an abort is planted there. */
  'memory.aborted': { pa: pa(), size: int() },
} as const;
