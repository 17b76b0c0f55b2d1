/**
 * What entries say of a field being used: commands, registers, STEs and CDs of the software that was told of it. Each
 * use says what the field must hold for it, so that software which takes more than it was offered is seen.
 */
import type { EntryOf } from '../../core/event.ts';
import type { Words } from '../../core/layout/field.ts';
import { decode } from '../../core/layout/layout.ts';
import { quad } from '../../core/layout/words.ts';
import { CD } from '../../core/smmu/cd.ts';
import { commandLayouts } from '../../core/smmu/command-layout.ts';
import { STE } from '../../core/smmu/ste.ts';

export interface Used {
  readonly field: string;
  readonly what: string;
  /** Least value of the field that offers it; 1 when absent. */
  readonly least?: number;
  /** The values that offer it, where more is not better. */
  readonly among?: readonly number[];
  /** Why it did not do what it was for. */
  readonly failed?: string;
}

/** Whether a field with this value offers the use. */
export function isOffered({ least = 1, among }: Used, told: number): boolean {
  return among === undefined ? told >= least : among.includes(told);
}

const RANGED = /^CMD_TLBI_(NH_VAA?|EL2_VAA?|S2_IPA)$/;
const ASID8_MAX = 255;

/** What a command uses. */
export function usesOfCommand({ command, lo, hi }: EntryOf<'command.fetched'>): readonly Used[] {
  if (command === 'CMD_ATC_INV') return [{ field: 'IDR0.ATS', what: command }];
  if (command === 'CMD_PRI_RESP') return [{ field: 'IDR0.PRI', what: command }];
  if (command === 'CMD_RESUME' || command === 'CMD_STALL_TERM')
    return [{ field: 'IDR0.STALL_MODEL', what: command, among: STALLS }];
  const el2 = command.startsWith('CMD_TLBI_EL2') ? [{ field: 'IDR0.Hyp', what: command }] : [];
  if (RANGED.test(command)) {
    const { TG, NUM, SCALE } = decode(commandLayouts.CMD_TLBI_NH_VA.layout, quad(lo, hi));
    const isRange = TG !== 'NONE' || NUM !== 0 || SCALE !== 0;
    return isRange ? [...el2, { field: 'IDR3.RIL', what: `${command} of a range` }] : el2;
  }
  if (command !== 'CMD_SYNC') return el2;
  const { CS, MSIAddress } = decode(commandLayouts.CMD_SYNC.layout, quad(lo, hi));
  if (CS === 'SIG_SEV') return [{ field: 'IDR0.SEV', what: 'CMD_SYNC with SIG_SEV' }];
  return CS === 'SIG_IRQ' && MSIAddress !== 0n ? [{ field: 'IDR0.MSI', what: 'CMD_SYNC with an MSI' }] : [];
}

const GRANULES: Readonly<Record<string, string>> = { '4KB': 'GRAN4K', '16KB': 'GRAN16K', '64KB': 'GRAN64K' };
/** IDR0.STALL_MODEL: stalls are there; an access may be terminated at once (6.3.1). */
const STALLS = [0, 2] as const;
const TERMINATES = [0, 1] as const;
/** IDR0.TTF with VMSAv8-64 tables. */
const TTF64 = [2, 3] as const;
const LITTLE = [0, 2] as const;
/** T0SZ below is a VA of more than 48 bits; above, a small table (5.4). */
const VA48 = 16;
const SMALL = 39;

/** What a CD uses (IHI 0070 5.4). */
export function usesOfCd(words: Words): readonly Used[] {
  const { fields } = CD;
  if (!fields.V.read(words) || !fields.AA64.read(words)) return [];
  const cd = decode(CD, words);
  const granule = GRANULES[String(cd.TG0)];
  const list: readonly (Used | undefined)[] = [
    { field: 'IDR0.S1P', what: 'a CD' },
    { field: 'IDR0.TTF', what: 'CD.AA64', among: TTF64 },
    { field: 'IDR5.OAS', what: `CD.IPS=${cd.IPS}`, least: cd.IPS },
    granule === undefined || cd.EPD0 ? undefined : { field: `IDR5.${granule}`, what: `CD.TG0=${cd.TG0}` },
    cd.ASID > ASID8_MAX ? { field: 'IDR0.ASID16', what: `CD.ASID=${cd.ASID}` } : undefined,
    cd.HA
      ? { field: 'IDR0.HTTU', what: cd.HD ? 'CD.HA and CD.HD' : 'CD.HA', least: cd.HD ? 2 : 1 }
      : undefined,
    cd.HAD0 || cd.HAD1 ? { field: 'IDR3.HAD', what: 'CD.HAD0 or HAD1' } : undefined,
    cd.S
      ? { field: 'IDR0.STALL_MODEL', what: 'CD.S', among: STALLS }
      : { field: 'IDR0.STALL_MODEL', what: 'CD.S=0', among: TERMINATES },
    cd.A ? undefined : { field: 'IDR0.TERM_MODEL', what: 'CD.A=0', among: [0] },
    cd.ENDI ? undefined : { field: 'IDR0.TTENDIAN', what: 'CD.ENDI=0', among: LITTLE },
    cd.DS ? { field: 'IDR5.DS', what: 'CD.DS' } : undefined,
    cd.E0PD0 || cd.E0PD1 ? { field: 'IDR3.E0PD', what: 'CD.E0PD0 or E0PD1' } : undefined,
    !cd.EPD0 && cd.T0SZ < VA48 && !cd.DS ? { field: 'IDR5.VAX', what: `CD.T0SZ=${cd.T0SZ}` } : undefined,
    !cd.EPD0 && cd.T0SZ > SMALL ? { field: 'IDR3.STT', what: `CD.T0SZ=${cd.T0SZ}` } : undefined,
  ];
  return list.filter((each) => each !== undefined);
}

/**
 * What an STE uses (5.2).
 * @param behind it is the host's, before a guest: stage 1 is the guest's, and the second stage is not.
 */
export function usesOfSte(words: Words, behind: boolean): readonly Used[] {
  const { fields } = STE;
  const config = fields.Config.read(words);
  if (!fields.V.read(words)) return [];
  const second: Used = { field: 'IDR0.S2P', what: `STE.Config=${config}` };
  if (config === 'S2') return behind ? [] : [second];
  if (config !== 'S1' && config !== 'NESTED') return [];
  const { S1Fmt, S1CDMax, EATS } = decode(STE, words);
  const list: readonly (Used | undefined)[] = [
    { field: 'IDR0.S1P', what: 'an STE' },
    config === 'NESTED' && !behind ? second : undefined,
    S1CDMax > 0 ? { field: 'IDR1.SSIDSIZE', what: `STE.S1CDMax=${S1CDMax}`, least: S1CDMax } : undefined,
    S1CDMax > 0 && (S1Fmt === 'TWO_LEVEL_4K' || S1Fmt === 'TWO_LEVEL_64K')
      ? { field: 'IDR0.CD2L', what: `STE.S1Fmt=${S1Fmt}` }
      : undefined,
    EATS === 'OFF' ? undefined : { field: 'IDR0.ATS', what: `STE.EATS=${EATS}` },
  ];
  return list.filter((each) => each !== undefined);
}

const log2Size = (value: bigint): number => Number(value & 0x1fn);
const bit = (value: bigint, at: bigint): boolean => ((value >> at) & 1n) === 1n;

type Reader = (value: bigint) => readonly Used[];

const queue =
  (field: string): Reader =>
  (value) => [{ field, what: `LOG2SIZE=${log2Size(value)}`, least: log2Size(value) }];

const message =
  (register: string): Reader =>
  (value) =>
    value === 0n ? [] : [{ field: 'IDR0.MSI', what: `an MSI in ${register}` }];

/** What the value of a register uses (6.3). */
// biome-ignore format: a table
const registers: Readonly<Record<string, Reader>> = {
  CR0: (value) => [
    ...(bit(value, 1n) ? [{ field: 'IDR0.PRI', what: 'CR0.PRIQEN' }] : []),
    ...(bit(value, 4n) ? [{ field: 'IDR0.ATS', what: 'CR0.ATSCHK' }] : []),
  ],
  CR2: (value) => [
    ...(bit(value, 0n) ? [{ field: 'IDR0.Hyp', what: 'CR2.E2H' }] : []),
    ...(bit(value, 2n) ? [] : [{ field: 'IDR0.BTM', what: 'CR2.PTM=0' }]),
  ],
  STRTAB_BASE_CFG: (value) => [
    { field: 'IDR1.SIDSIZE', what: `STRTAB_BASE_CFG.LOG2SIZE=${value & 0x3fn}`, least: Number(value & 0x3fn) },
    ...(((value >> 16n) & 3n) === 0n ? [] : [{ field: 'IDR0.ST_LEVEL', what: 'STRTAB_BASE_CFG.FMT' }]),
  ],
  CMDQ_BASE:        queue('IDR1.CMDQS'),
  EVENTQ_BASE:      queue('IDR1.EVENTQS'),
  PRIQ_BASE:        queue('IDR1.PRIQS'),
  GERROR_IRQ_CFG0:  message('GERROR_IRQ_CFG0'),
  EVENTQ_IRQ_CFG0:  message('EVENTQ_IRQ_CFG0'),
  PRIQ_IRQ_CFG0:    message('PRIQ_IRQ_CFG0'),
};

/** Whether a write of the register says anything of fields: pointers of queues, which are most writes, do not. */
export function isTelling(register: string): boolean {
  return Object.hasOwn(registers, register);
}

/** What a write of a register uses, by the value that it took. */
export function usesOfRegister(register: string, value: bigint): readonly Used[] {
  return registers[register]?.(value) ?? [];
}

/** A command that is not there for want of a field: `core/smmu/command.ts` names it. */
export function usesOfRejected({ command, why }: EntryOf<'command.rejected'>): readonly Used[] {
  const field = /(IDR\d\.\w+)\)?=0$/.exec(why)?.[1];
  return field === undefined ? [] : [{ field, what: command, failed: why }];
}
