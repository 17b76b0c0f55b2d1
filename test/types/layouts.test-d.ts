/** What layouts give types for, and what must not compile. */
import { decode, encode } from '../../core/layout/layout.ts';
import { commands } from '../../core/smmu/command.ts';
import type { CommandName } from '../../core/smmu/command-layout.ts';
import { encodeCommand } from '../../core/smmu/command-layout.ts';
import { encodeEventRecord } from '../../core/smmu/event-record.ts';
import type { RegisterName } from '../../core/smmu/registers.ts';
import { STE } from '../../core/smmu/ste.ts';

type Equal<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

const ste = decode(STE, new Uint32Array(16));
export const config: Equal<typeof ste.Config, 'ABORT' | 'BYPASS' | 'S1' | 'S2' | 'NESTED' | 'RESERVED'> =
  true;
export const pointer: Equal<typeof ste.S1ContextPtr, number> = true;
export const valid: Equal<typeof ste.V, boolean> = true;

// @ts-expect-error no such field
export const field = ste.S1ContextPointer;
// @ts-expect-error no such name among the values
encode(STE, { Config: 'STAGE1' });
// @ts-expect-error a flag is a boolean
encode(STE, { V: 1 });
// @ts-expect-error no such field
encode(STE, { Valid: true });

encodeCommand('CMD_TLBI_NH_VA', { ASID: 1, Address: 0x1000, Leaf: true });
// @ts-expect-error the command has no ASID
encodeCommand('CMD_TLBI_NH_VAA', { ASID: 1 });
// @ts-expect-error the opcode follows from the name
encodeCommand('CMD_SYNC', { Opcode: 0x46 });
// @ts-expect-error no such command
encodeCommand('CMD_TLBI_ALL', {});
// @ts-expect-error the record has no InputAddr
encodeEventRecord('C_BAD_STE', { InputAddr: 0n });

// @ts-expect-error no such register
export const register: RegisterName = 'CR3';

const { CMD_SYNC: _, ...withoutSync } = commands;
// @ts-expect-error a command lacks its row
export const incomplete: { readonly [N in CommandName]: object } = withoutSync;
