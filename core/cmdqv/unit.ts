/**
 * The hardware of a Tegra241 CMDQV: interfaces (VINTF) with a VMID and pairs of StreamIDs, and their queues, which
 * fetch from memory as the SMMU's own do. A guest's queue takes three kinds of command and a CMD_SYNC that nobody is
 * told of; its VMID and StreamIDs are put in on the way. linux: tegra241-cmdqv.c. What a StreamID without a pair does
 * is not public: here it stops the queue, as a command that is not taken does.
 */
import { addr, flag, uint } from '../layout/field.ts';
import { decode, encode, layout } from '../layout/layout.ts';
import type { Context } from '../machine.ts';
import { commandByOpcode, commandLayouts } from '../smmu/command-layout.ts';
import type { SmmuState } from '../smmu/state.ts';
import { updateRegister } from '../smmu/update-register.ts';
import { cmdqvIn } from './param.ts';
import { CMDQ_ERR, type QueueRegister } from './registers.ts';

const spec = 'tegra241-cmdqv.c';
export const VINTF_CONFIG = layout(
  'VINTF_CONFIG',
  { bytes: 4, spec },
  { EN: flag(0), VMID: uint(16, 1), HYP_OWN: flag(17) },
);
export const SID_MATCH = layout('SID_MATCH', { bytes: 4, spec }, { ENABLE: flag(0), VSID: uint(20, 1) });
export const CMDQ_ALLOC = layout(
  'CMDQ_ALLOC',
  { bytes: 4, spec },
  { ALLOCATED: flag(0), LVCMDQ: uint(7, 1), VINTF: uint(20, 15) },
);
export const CMDQ_BASE = layout(
  'VCMDQ_BASE',
  { bytes: 8, spec },
  { LOG2SIZE: uint(4, 0), ADDR: addr(47, 5) },
);

type Held = Pick<SmmuState, 'regs' | 'config'>;

const held = ({ regs }: Held, name: string): number => regs[name] ?? 0;

/** The name of a register of an interface: `VINTF1_SID_MATCH0`. */
export function vintfRegister(
  vintf: number,
  register: 'CONFIG' | `SID_MATCH${number}` | `SID_REPLACE${number}`,
): string {
  return `VINTF${vintf}_${register}`;
}

/** The name of a register of a queue, counted over all interfaces: `VCMDQ3_PROD`. */
export function queueRegister(queue: number, register: QueueRegister | 'BASE' | 'ALLOC'): string {
  return `VCMDQ${queue}_${register}`;
}

/** The first queue of an interface. */
export function firstQueue({ config }: Held, vintf: number): number {
  return vintf * 2 ** (cmdqvIn(config.choices)?.queuesLog2 ?? 0);
}

function vintfOf({ config }: Held, queue: number): number {
  return Math.floor(queue / 2 ** (cmdqvIn(config.choices)?.queuesLog2 ?? 0));
}

/** Software writes a register of the unit, or of a queue; a queue is on when it is enabled, allocated and its interface is on. */
export function writeUnit(context: Context, smmu: SmmuState, register: string, value: bigint): void {
  const { name } = smmu.config;
  const old = BigInt(held(smmu, register)) | (BigInt(held(smmu, `${register}_HI`)) << 32n);
  context.emit(name, { type: 'register.written', smmu: name, register, value, old });
  const of = /^VCMDQ(\d+)_(CONFIG|ALLOC)$/.exec(register);
  if (of !== null) follow(context, smmu, Number(of[1]));
  const vintf = /^VINTF(\d+)_CONFIG$/.exec(register);
  if (vintf === null) return;
  const first = firstQueue(smmu, Number(vintf[1]));
  for (let queue = first; queue < firstQueue(smmu, Number(vintf[1]) + 1); queue += 1)
    follow(context, smmu, queue);
}

/** STATUS follows CONFIG. */
function follow(context: Context, smmu: SmmuState, queue: number): void {
  const { EN } = decode(VINTF_CONFIG, [held(smmu, vintfRegister(vintfOf(smmu, queue), 'CONFIG'))]);
  const on =
    EN &&
    held(smmu, queueRegister(queue, 'ALLOC')) % 2 === 1 &&
    held(smmu, queueRegister(queue, 'CONFIG')) % 2 === 1;
  const status = queueRegister(queue, 'STATUS');
  if (held(smmu, status) !== Number(on)) updateRegister(context, smmu, status, Number(on));
}

/** The queue takes commands. */
export function isQueueOn(smmu: Held, name: string): boolean {
  return held(smmu, `${name}_STATUS`) === 1;
}

/** It is off, and still wired to its interface: a CMD_SYNC of the main queue meets its time-outs. */
export function isQueueDraining(smmu: Held, name: string): boolean {
  return held(smmu, `${name}_ALLOC`) % 2 === 1 && !isQueueOn(smmu, name);
}

/** It has stopped at one. */
export function isQueueStopped(smmu: Held, name: string): boolean {
  return ((held(smmu, `${name}_GERROR`) ^ held(smmu, `${name}_GERRORN`)) & CMDQ_ERR) !== 0;
}

/** The error of a queue, and the interrupt of the unit. */
export function raiseQueueError(context: Context, smmu: SmmuState, name: string): void {
  if (isQueueStopped(smmu, name)) return;
  updateRegister(context, smmu, `${name}_GERROR`, held(smmu, `${name}_GERROR`) ^ CMDQ_ERR);
  const of = smmu.config.name;
  context.emit(of, { type: 'interrupt.raised', smmu: of, source: 'CMDQV' });
}

/** LVCMDQ_ERR_MAP of an interface: a bit for each of its queues that has stopped. */
export function errorMap(smmu: Held, vintf: number): bigint {
  let map = 0n;
  const first = firstQueue(smmu, vintf);
  for (let queue = first; queue < firstQueue(smmu, vintf + 1); queue += 1)
    if (isQueueStopped(smmu, `VCMDQ${queue}`)) map |= 1n << BigInt(queue - first);
  return map;
}

export type Taken = { readonly lo: bigint; readonly hi: bigint } | { readonly why: string };

const VMID_BITS = 0xffff_0000_0000n;
const SID_BITS = 0xffff_ffff_0000_0000n;

/** A command as its queue hands it to the SMMU, or why it does not. */
export function takeCommand(smmu: Held, queue: number, lo: bigint, hi: bigint): Taken {
  const vintf = vintfOf(smmu, queue);
  const { HYP_OWN, VMID } = decode(VINTF_CONFIG, [held(smmu, vintfRegister(vintf, 'CONFIG'))]);
  if (HYP_OWN) return { lo, hi };
  const name = commandByOpcode(Number(lo & 0xffn))?.name;
  if (name === 'CMD_TLBI_NH_ASID' || name === 'CMD_TLBI_NH_VA')
    return { lo: (lo & ~VMID_BITS) | (BigInt(VMID) << 32n), hi };
  if (name === 'CMD_SYNC') {
    const told =
      decode(commandLayouts.CMD_SYNC.layout, [Number(lo & 0xffff_ffffn), 0, 0, 0]).CS !== 'SIG_NONE';
    return told ? { why: 'CMD_SYNC.CS of a queue of a guest is SIG_NONE' } : { lo, hi };
  }
  if (name !== 'CMD_ATC_INV') return { why: `a queue of a guest does not take ${name ?? 'this opcode'}` };
  const sid = physicalSid(smmu, vintf, Number(lo >> 32n));
  if (sid === undefined)
    return { why: `no SID_MATCH of VINTF ${vintf} has StreamID 0x${(lo >> 32n).toString(16)}` };
  return { lo: (lo & ~SID_BITS) | (BigInt(sid) << 32n), hi };
}

function pairs({ config }: Held): number {
  return 2 ** (cmdqvIn(config.choices)?.sidsLog2 ?? 0);
}

function physicalSid(smmu: Held, vintf: number, vsid: number): number | undefined {
  const pair = pairOf(smmu, vintf, vsid);
  return pair === undefined ? undefined : held(smmu, vintfRegister(vintf, `SID_REPLACE${pair}`));
}

function pairOf(smmu: Held, vintf: number, vsid: number): number | undefined {
  for (let pair = 0; pair < pairs(smmu); pair += 1) {
    const { ENABLE, VSID } = decode(SID_MATCH, [held(smmu, vintfRegister(vintf, `SID_MATCH${pair}`))]);
    if (ENABLE && VSID === vsid) return pair;
  }
  return undefined;
}

/** Pairs a virtual StreamID with a physical one: first the replacement, then the match. */
export function pairSid(context: Context, smmu: SmmuState, vintf: number, vsid: number, sid: number): void {
  for (let pair = 0; pair < pairs(smmu); pair += 1) {
    const match = vintfRegister(vintf, `SID_MATCH${pair}`);
    if (held(smmu, match) !== 0) continue;
    writeUnit(context, smmu, vintfRegister(vintf, `SID_REPLACE${pair}`), BigInt(sid));
    const [word = 0] = encode(SID_MATCH, { ENABLE: true, VSID: vsid });
    return writeUnit(context, smmu, match, BigInt(word));
  }
}

/** Takes a pair away. */
export function unpairSid(context: Context, smmu: SmmuState, vintf: number, vsid: number): void {
  const pair = pairOf(smmu, vintf, vsid);
  if (pair === undefined) return;
  writeUnit(context, smmu, vintfRegister(vintf, `SID_MATCH${pair}`), 0n);
  writeUnit(context, smmu, vintfRegister(vintf, `SID_REPLACE${pair}`), 0n);
}
