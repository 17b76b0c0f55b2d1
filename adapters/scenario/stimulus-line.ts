/**
 * A stimulus as a line of a scenario: by the op that people would write, or as a raw `stimulus` where there
 * is none that says it. Each row is the way back of its op's row in `ops.ts` and `kernel-ops.ts`.
 */
import { isSame } from '../../core/history/same.ts';
import { findRequest, type Request, requestOf } from '../../core/kernel/requests.ts';
import { decodeStruct, type Struct } from '../../core/kernel/uapi/struct.ts';
import { decode } from '../../core/layout/layout.ts';
import { own } from '../../core/lookup.ts';
import { hexOf } from '../../core/schema.ts';
import { type CommandName, commandLayouts } from '../../core/smmu/command-layout.ts';
import { locate, offsetOf } from '../../core/smmu/register-blocks.ts';
import type { State } from '../../core/state.ts';
import type { Stimulus, StimulusOf, StimulusType } from '../../core/stimulus.ts';
import { encodeFields } from './command-fields.ts';
import { encodeArgument } from './ioctl-argument.ts';
import { defined } from './op.ts';
import { stimulusFields } from './raw-stimulus.ts';
import type { ScenarioLine } from './scenario.ts';

type Fields = Readonly<Record<string, unknown>>;
type Ways = {
  readonly [T in StimulusType]?: (stimulus: StimulusOf<T>, state: State) => ScenarioLine | undefined;
};

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/** The line that asks for this stimulus; `state` is that before it. */
export function lineOf(stimulus: Stimulus, state: State): ScenarioLine {
  const way = ways[stimulus.type] as ((of: Stimulus, state: State) => ScenarioLine | undefined) | undefined;
  return { ...(way?.(stimulus, state) ?? rawLine(stimulus)), ...originOf(stimulus) };
}

/** The same as a raw `stimulus`, whatever it is. */
export function rawLineOf(stimulus: Stimulus): ScenarioLine {
  return { ...rawLine(stimulus), ...originOf(stimulus) };
}

function rawLine(stimulus: Stimulus): ScenarioLine {
  return { op: 'stimulus', type: stimulus.type, fields: stimulusFields(stimulus) };
}

function originOf({ actor, cpu, pc }: Stimulus): Fields {
  return defined({
    actor: actor === 'outside' ? undefined : actor,
    cpu,
    pc: pc === undefined ? pc : hex(pc),
  });
}

const ways: Ways = {
  'mmio.write': (stimulus, state) => ({
    op: 'mmio.write',
    ...registerFields(stimulus, state),
    value: hex(stimulus.value),
  }),
  'mmio.read': (stimulus, state) => ({ op: 'mmio.read', ...registerFields(stimulus, state) }),
  'mem.write': ({ pa, bytes }) =>
    bytes.length === 0 ? undefined : { op: 'mem.write', pa: hex(pa), ...content(pa, bytes) },
  'mem.read': ({ pa, size }) => ({ op: 'mem.read', pa: hex(pa), bytes: size }),
  'user.write': ({ process, va, bytes }) =>
    bytes.length === 0
      ? undefined
      : { op: 'mem.write', process, va: hex(va), ...content(Number(va % 8n), bytes) },
  'user.read': ({ process, va, size }) => ({ op: 'mem.read', process, va: hex(va), bytes: size }),
  dma: ({ endpoint, iova, size, access, ssid, exec, privileged, translated, data, assumed }) =>
    assumed === undefined
      ? ({
          ...deviceOf(endpoint),
          iova: hex(iova),
          bytes: size,
          access,
          ...defined({ ssid, exec, privileged, translated, hex: data && hexOf(data) }),
        } as ScenarioLine)
      : undefined,
  'ats.translate': ({ type: op, endpoint, iova, size, access, ssid, exec, privileged }) => ({
    op,
    endpoint,
    iova: hex(iova),
    bytes: size,
    access,
    ...defined({ ssid, exec, privileged }),
  }),
  'pri.request': ({ type: op, endpoint, iova, access, prgIndex, last, ssid, exec, privileged }) => ({
    op,
    endpoint,
    iova: hex(iova),
    access,
    prgIndex,
    last,
    ...defined({ ssid, exec, privileged }),
  }),
  'endpoint.set': ({ type: op, endpoint, set }) =>
    // The op says its switches in an order of its own, and resets only.
    isSame(
      Object.keys(set),
      ORDER.filter((name) => name in set),
    ) && set['reset'] !== false
      ? { op, endpoint, ...set }
      : undefined,
  'command.issue': ({ type: op, smmu, lo, hi }) => commandLine(op, smmu, lo, hi),
  'cpu.tlbi': ({ type: op, operation, va, ipa, line, cpu, pc, ...rest }) => ({
    op,
    operation,
    ...addresses({ va, ipa }),
    ...withoutHead(rest),
  }),
  turn: ({ type: op, unit }) => ({ op, unit }),
  set: ({ type: op, path, value }) => ({ op, path, value }),
  'mem.alloc': ({ type: op, process, bytes, kind }) => ({ op, ...defined({ process }), bytes, kind }),
  'mem.free': ({ type: op, process, va }) => ({ op, ...defined({ process }), va: hex(va) }),
  'mem.memfd': ({ type: op, process, bytes }) => ({ op, ...defined({ process }), bytes }),
  open: ({ type: op, fd, process }) => ({ op, fd, ...defined({ process }) }),
  close: ({ type: op, fd }) => ({ op, fd }),
  read: ({ type: op, fd, bytes }) => ({ op, fd, bytes }),
  write: ({ type: op, fd, bytes }) => (bytes.length === 0 ? undefined : { op, fd, hex: hexOf(bytes) }),
  mmap: ({ type: op, fd, at, length, private: own, exec }) => ({
    op,
    fd,
    offset: hex(at),
    length: hex(length),
    ...defined({ private: own, exec }),
  }),
  munmap: ({ type: op, fd, at }) => ({ op, fd, offset: hex(at) }),
  'process.exit': ({ type: op, process }) => ({ op, process }),
  ioctl: ioctlLine,
  'vm.create': ({ type: op, vm, config: { ram, idr, smmus, ...config } }) => ({
    op,
    vm,
    ...config,
    ram: ram.map(({ base, size }) => ({ base: hex(base), size: hex(size) })),
    smmus: smmus.length,
    ...defined({ idr }),
  }),
  'vm.plug': ({ type: op, vm, endpoint, device }) => ({ op, vm, endpoint, ...device }),
  'vm.unplug': ({ type: op, vm, endpoint }) => ({ op, vm, endpoint }),
  'vm.end': ({ type: op, vm }) => ({ op, vm }),
  'guest.irq': ({ type: op, vm, endpoint, on, iova }) => ({
    op,
    vm,
    endpoint,
    on,
    ...defined({ iova: iova === undefined ? iova : hex(iova) }),
  }),
  'msi.send': ({ type: op, endpoint, data }) => ({ op, endpoint, ...defined({ data }) }),
  'vm.slot': ({ type: op, vm, gpa, bytes, present }) => ({ op, vm, gpa, bytes, present }),
  'kvm.tlbi': ({ type: op, vm, operation, asid, va, tg, num, scale, ttl }) => ({
    op,
    vm,
    operation,
    ...defined({ asid, va: va === undefined ? va : hex(va), tg, num, scale, ttl }),
  }),
  'kvm.rollover': ({ type: op }) => ({ op }),
  'guest.boot': ({ type: op, vm, platform, driver }) => ({ op, vm, ...defined({ platform, driver }) }),
  'guest.map': ({ type: op, vm, endpoint, pa, sg, bytes, access, device, iova }) => ({
    op,
    ...defined({ vm }),
    endpoint,
    bytes,
    ...addresses({ pa, iova }),
    ...defined({ access, device }),
    ...(sg === undefined ? {} : { sg: sg.map((piece) => ({ pa: hex(piece.pa), bytes: piece.size })) }),
  }),
  'guest.unmap': ({ type: op, vm, endpoint, iova, bytes }) => ({
    op,
    ...defined({ vm }),
    endpoint,
    iova: hex(iova),
    bytes,
  }),
  'guest.attach': ({ type: op, vm, endpoint, to, ssid }) => ({
    op,
    ...defined({ vm }),
    endpoint,
    to,
    ...defined({ ssid }),
  }),
  'guest.detach': ({ type: op, vm, endpoint }) => ({ op, ...defined({ vm }), endpoint }),
  'guest.probe': ({ type: op, vm, endpoint }) => ({ op, ...defined({ vm }), endpoint }),
  'guest.work': ({ type: op, vm, endpoint, kind, seed, count }) => ({
    op,
    ...defined({ vm }),
    endpoint,
    kind,
    seed,
    count,
  }),
  'guest.shutdown': ({ type: op, vm }) => ({ op, ...defined({ vm }) }),
  'mm.map': ({ type: op, vm, mm, va, bytes, access }) => ({
    op,
    ...defined({ vm }),
    mm,
    va: hex(va),
    bytes,
    ...defined({ access }),
  }),
  'mm.unmap': ({ type: op, vm, mm, va, bytes }) => ({ op, ...defined({ vm }), mm, va: hex(va), bytes }),
  'mm.protect': ({ type: op, vm, mm, va, bytes, access }) => ({
    op,
    ...defined({ vm }),
    mm,
    va: hex(va),
    bytes,
    access,
  }),
  'mm.exit': ({ type: op, vm, mm }) => ({ op, ...defined({ vm }), mm }),
  'sva.bind': ({ type: op, vm, endpoint, mm, ssid }) => ({
    op,
    ...defined({ vm }),
    endpoint,
    mm,
    ...defined({ ssid }),
  }),
  'sva.unbind': ({ type: op, vm, endpoint, mm }) => ({ op, ...defined({ vm }), endpoint, mm }),
};

/** Addresses that are there, as `0x...`. */
function addresses(given: Readonly<Record<string, number | bigint | undefined>>): Fields {
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, hex(value)]])),
  );
}

/** An emulated device is the guest's. */
function deviceOf(endpoint: string): ScenarioLine {
  const [vm = '', device] = endpoint.split('.');
  return device === undefined ? { op: 'dma', endpoint } : { op: 'guest.dma', vm, endpoint: device };
}

const ORDER: readonly string[] = ['reset', 'ats', 'pri', 'silent'];

/** Without what an entry has besides its payload. */
function withoutHead(fields: object): Fields {
  const { actor, ...rest } = fields as { readonly actor?: string };
  return rest as Fields;
}

function registerFields(
  { smmu: name, offset, size }: { readonly smmu: string; readonly offset: number; readonly size: number },
  state: State,
): Fields {
  const smmu = own(state.smmus, name);
  const found = smmu === undefined ? undefined : locate(smmu, offset);
  const reg = found?.held;
  if (smmu === undefined || found === undefined || reg === undefined || offsetOf(smmu, reg) !== offset)
    return { smmu: name, offset: hex(offset), ...(size === 4 ? {} : { size }) };
  return { smmu: name, reg, ...(size === found.register.width / 8 ? {} : { size }) };
}

/** Doublewords where they are; else bytes. */
function content(address: number, bytes: Uint8Array): Fields {
  if (address % 8 !== 0 || bytes.length % 8 !== 0) return { hex: hexOf(bytes) };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    u64: Array.from({ length: bytes.length / 8 }, (_, at) => hex(view.getBigUint64(at * 8, true))),
  };
}

function commandLine(op: 'command.issue', smmu: string, lo: bigint, hi: bigint): ScenarioLine | undefined {
  const words = [lo, hi].flatMap((each) => [Number(each & 0xffff_ffffn), Number(each >> 32n)]);
  const found = Object.entries(commandLayouts).find(([, { opcode }]) => opcode === Number(lo & 0xffn));
  if (found === undefined) return undefined;
  const [command, { layout }] = found as [CommandName, (typeof commandLayouts)[CommandName]];
  const values = decode(layout as never, words) as Fields;
  const zeros = decode(layout as never, [0, 0, 0, 0]) as Fields;
  const told = Object.entries(values).filter(([name, value]) => name !== 'Opcode' && value !== zeros[name]);
  const fields = Object.fromEntries(told.map(([name, value]) => [name, shown(value)]));
  const again = encodeFields(command, fields);
  if ('problem' in again || again.lo !== lo || again.hi !== hi) return undefined;
  return { op, smmu, command, fields };
}

function shown(value: unknown): unknown {
  return typeof value === 'bigint' || (typeof value === 'number' && value > 9) ? hex(value) : value;
}

function ioctlLine(stimulus: StimulusOf<'ioctl'>, { kernel }: State): ScenarioLine | undefined {
  const { type: op, fd, process, thread, code, arg, bytes, buffers } = stimulus;
  const request = kernel && requestOf(kernel.profile, code);
  const about = { op, fd, ...defined({ process, thread }) } as const;
  const name = request && findRequest(kernel.profile, request.name)?.code === code ? request.name : undefined;
  const call = name === undefined ? { code: hex(code) } : { name };
  if (arg !== undefined) return bytes === undefined ? { ...about, ...call, arg: hex(arg) } : undefined;
  if (bytes === undefined) return request?.struct === undefined ? { ...about, ...call } : undefined;
  const fields = name === undefined ? undefined : argumentFields(request as Request, bytes, buffers ?? []);
  if (fields !== undefined) return { ...about, ...call, arg: fields };
  return buffers === undefined && bytes.length > 0 ? { ...about, ...call, hex: hexOf(bytes) } : undefined;
}

/** The struct by its fields, if those say all of it. */
function argumentFields(
  { struct, ...request }: Request,
  bytes: Uint8Array,
  buffers: NonNullable<StimulusOf<'ioctl'>['buffers']>,
): Fields | undefined {
  if (struct === undefined) return undefined;
  const fields: Record<string, unknown> = {};
  const sizeField = Object.keys(struct.fields)[0];
  for (const [name, value] of Object.entries(decodeStruct(struct as Struct, bytes) as Fields)) {
    const buffer = buffers.find(({ field }) => field === name);
    const usual = name === sizeField && ['size', 'argsz'].includes(name) && Number(value) === struct.bytes;
    const alias = struct.fields[name]?.over !== undefined;
    if (buffer !== undefined) fields[name] = { bytes: hexOf(buffer.bytes) };
    else if (!usual && !alias && !isZero(value)) fields[name] = argumentValue(value);
  }
  const again = encodeArgument({ ...request, struct }, fields, () => undefined);
  const same =
    !('problem' in again) && isSame(again.bytes, bytes) && isSame([...again.buffers], [...buffers]);
  return same ? fields : undefined;
}

function isZero(value: unknown): boolean {
  return Array.isArray(value) ? value.every((each) => isZero(each)) : value === 0 || value === 0n;
}

function argumentValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(argumentValue);
  return typeof value === 'bigint' ? hex(value) : value;
}
