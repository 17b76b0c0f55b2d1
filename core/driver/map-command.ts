/**
 * The command that the RFC of August 2017 invented: TLBI_NH_VA by address mask, opcode 0x8F of the IMPLEMENTATION
 * DEFINED space. The slot of the VMID holds the number of 4 KiB pages. Source: the QEMU side of the RFC, as
 * the mails have it; the value of the opcode in the kernel's side was not seen.
 */
import type { Cmd } from './commands.ts';
import type { Range } from './ranges.ts';

export const MASK_COMMAND = { opcode: 0x8f, pagesMax: 0xffff, pageBytes: 0x1000 } as const;

/** The commands of a range: one for every 65535 pages. */
export function maskCommands(asid: number, { iova, size }: Range): readonly Cmd[] {
  const { opcode, pagesMax, pageBytes } = MASK_COMMAND;
  const commands: Cmd[] = [];
  for (let at = 0; at < size; at += pagesMax * pageBytes) {
    const pages = Math.min(pagesMax, Math.ceil((size - at) / pageBytes));
    const low = BigInt(opcode) | (BigInt(pages) << 32n) | (BigInt(asid) << 48n);
    commands.push([low, BigInt(iova + at)] as unknown as Cmd);
  }
  return commands;
}
