/** What entries say of a field being used: commands of the guest, CDs that hardware fetches for it, broadcasts. */

import type { EntryOf } from '../../core/event.ts';
import { decode } from '../../core/layout/layout.ts';
import { quad } from '../../core/layout/words.ts';
import { CD } from '../../core/smmu/cd.ts';
import { commandLayouts } from '../../core/smmu/command-layout.ts';

export interface Used {
  readonly field: string;
  readonly what: string;
  /** Why it did not do what it was for. */
  readonly failed?: string;
}

const RANGED = /^CMD_TLBI_(NH_VAA?|EL2_VAA?|S2_IPA)$/;
const ASID8_MAX = 255;

/** What a command of a guest uses. */
export function usesOfCommand({ command, lo, hi }: EntryOf<'command.fetched'>): readonly Used[] {
  if (command === 'CMD_ATC_INV') return [{ field: 'IDR0.ATS', what: command }];
  if (command === 'CMD_PRI_RESP') return [{ field: 'IDR0.PRI', what: command }];
  if (command === 'CMD_RESUME' || command === 'CMD_STALL_TERM')
    return [{ field: 'IDR0.STALL_MODEL', what: command }];
  if (RANGED.test(command)) {
    const { TG, NUM, SCALE } = decode(commandLayouts.CMD_TLBI_NH_VA.layout, quad(lo, hi));
    const isRange = TG !== 'NONE' || NUM !== 0 || SCALE !== 0;
    return isRange ? [{ field: 'IDR3.RIL', what: `${command} of a range` }] : [];
  }
  if (command !== 'CMD_SYNC') return [];
  const { CS, MSIAddress } = decode(commandLayouts.CMD_SYNC.layout, quad(lo, hi));
  if (CS === 'SIG_SEV') return [{ field: 'IDR0.SEV', what: 'CMD_SYNC with SIG_SEV' }];
  return CS === 'SIG_IRQ' && MSIAddress !== 0n ? [{ field: 'IDR0.MSI', what: 'CMD_SYNC with an MSI' }] : [];
}

const GRANULES: Readonly<Record<string, string>> = { '4KB': 'GRAN4K', '16KB': 'GRAN16K', '64KB': 'GRAN64K' };

/** What a CD of a guest uses. */
export function usesOfCd(words: Uint8Array): readonly Used[] {
  const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
  const cd = decode(
    CD,
    Array.from({ length: words.byteLength >> 2 }, (_, at) => view.getUint32(at * 4, true)),
  );
  if (!cd.V || !cd.AA64) return [];
  const granule = GRANULES[String(cd.TG0)];
  return [
    { field: 'IDR0.S1P', what: 'a CD' },
    ...(granule === undefined || cd.EPD0 ? [] : [{ field: `IDR5.${granule}`, what: `CD.TG0=${cd.TG0}` }]),
    ...(cd.ASID > ASID8_MAX ? [{ field: 'IDR0.ASID16', what: `CD.ASID=${cd.ASID}` }] : []),
    ...(cd.HA ? [{ field: 'IDR0.HTTU', what: cd.HD ? 'CD.HA and CD.HD' : 'CD.HA' }] : []),
    ...(cd.HAD0 ? [{ field: 'IDR3.HAD', what: 'CD.HAD0' }] : []),
    ...(cd.S ? [{ field: 'IDR0.STALL_MODEL', what: 'CD.S' }] : []),
  ];
}

/** A command that is not there for want of a field: `core/smmu/command.ts` names it. */
export function usesOfRejected({ command, why }: EntryOf<'command.rejected'>): readonly Used[] {
  const field = /(IDR\d\.\w+)\)?=0$/.exec(why)?.[1];
  return field === undefined ? [] : [{ field, what: command, failed: why }];
}
