/**
 * Bits of identification registers and of GET_HW_INFO at which no field is known: those of a later architecture or
 * kernel. A ledger has a row for each run of them that anybody has set, as `IDR3[26:24]` and `hw_info[9]`.
 */
import { mask } from '../../core/layout/layout.ts';
import { registers } from '../../core/smmu/registers.ts';
import { hwInfoFlags, type IdRegister, idRegisters, valueIn } from './fields.ts';

type Idr = Readonly<Record<string, number>>;

const NAME = /^(IDR\d|IIDR|AIDR)\[(\d+)(?::(\d+))?\]$/;
const BITS = 32;

/** Names of the runs of unknown bits that are set in any of these. @param capabilities out_capabilities of hw_info */
export function unknownBits(words: readonly Idr[], capabilities: number): readonly string[] {
  const known = Object.values(hwInfoFlags).reduce((bits, flag) => bits | flag, 0);
  return [
    ...idRegisters.flatMap((register) => {
      const set = words.reduce((bits, idr) => bits | (idr[register] ?? 0), 0) & ~knownIn(register);
      return runs(set).map(([hi, lo]) => `${register}[${hi === lo ? hi : `${hi}:${lo}`}]`);
    }),
    ...runs(capabilities & ~known).flatMap(([hi, lo]) =>
      Array.from({ length: hi - lo + 1 }, (_, at) => `hw_info[${lo + at}]`),
    ),
  ];
}

const masks = new Map(
  idRegisters.map((register) => [register, mask(registers.byName[register])[0] ?? 0] as const),
);

function knownIn(register: IdRegister): number {
  return masks.get(register) ?? 0;
}

/** Runs of set bits, as [hi, lo], from the lowest. */
function runs(set: number): readonly (readonly [number, number])[] {
  const found: [number, number][] = [];
  for (let bit = 0; bit < BITS; bit += 1) {
    if (((set >>> bit) & 1) === 0) continue;
    const last = found.at(-1);
    if (last !== undefined && last[0] === bit - 1) last[0] = bit;
    else found.push([bit, bit]);
  }
  return found;
}

/** Whether a name is one of unknown bits: `IDR3[26:24]`, `hw_info[9]`. */
export function isUnknown(name: string): boolean {
  const [, , hi, lo = hi] = NAME.exec(name) ?? [];
  return bitOf(name) !== undefined || (hi !== undefined && Number(hi) < BITS && Number(lo) <= Number(hi));
}

/** The bit of out_capabilities that `hw_info[9]` names. */
export function bitOf(name: string): number | undefined {
  const bit = /^hw_info\[(\d+)\]$/.exec(name)?.[1];
  return bit === undefined || Number(bit) >= BITS ? undefined : (1 << Number(bit)) >>> 0;
}

/** Where a field stands, known or not: its register, and its value in the words of identification registers. */
export function wordAt(name: string): { readonly register: string; readonly read: (idr: Idr) => number } {
  const found = NAME.exec(name);
  if (found === null) return { register: name.split('.')[0] ?? '', read: (idr) => valueIn(idr, name) };
  const [, register = '', hi = '0', lo = hi] = found;
  const width = Number(hi) - Number(lo) + 1;
  return { register, read: (idr) => ((idr[register] ?? 0) >>> Number(lo)) & (2 ** width - 1) };
}
