/**
 * Message-signalled interrupts: a 4-byte little-endian store of the data to the address, where MSIs are
 * implemented and the address is not 0. IHI 0070 3.18, 4.7.3. What an abort of the store activates is
 * not here, nor the attributes of the store.
 */
import { putWord } from '../layout/words.ts';
import type { Context } from '../machine.ts';
import { storeBytes } from '../memory/access.ts';
import { inSpace } from '../memory/space.ts';
import type { SmmuState } from './state.ts';

/** What became of a message: `none` was sent, it is visible, or the store aborted. */
export type MsiFate = 'none' | 'landed' | 'aborted';

export interface Msi {
  /** CMD_SYNC, GERROR, EVENTQ or PRIQ. */
  readonly source: string;
  /** ADDR or MSIAddress; it is truncated to the OAS (3.4.3). */
  readonly address: bigint;
  readonly data: number;
}

/** Stores the message; the entry of its sending comes first. An address of 0 means that none is wanted. */
export function sendMsi(context: Context, smmu: SmmuState, { source, address, data }: Msi): MsiFate {
  const { syncMsi } = smmu.config.emulator ?? {};
  if (source === 'CMD_SYNC' && syncMsi === 'never') return 'none';
  const unannounced = source === 'CMD_SYNC' && syncMsi === 'always';
  if ((!smmu.features.msi && !unannounced) || address === 0n) return 'none';
  const name = smmu.config.name;
  const pa = Number(BigInt.asUintN(smmu.features.oas, address));
  const at = inSpace(context.state, smmu.config.space, pa);
  const aborts = !context.state.memory.isRam(at, 4);
  context.emit(name, { type: 'msi.sent', smmu: name, source, pa, data });
  const bytes = new Uint8Array(4);
  putWord(bytes, 0, data);
  storeBytes(context, name, at, bytes);
  return aborts ? 'aborted' : 'landed';
}
