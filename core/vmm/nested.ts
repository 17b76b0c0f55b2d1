/**
 * The strategy `nested`: a guest's STEs become nested HWPTs, its invalidations IOMMU_HWPT_INVALIDATE, the events
 * of its devices come back through a vEVENTQ. QEMU: hw/arm/smmuv3-accel.c.
 */
import type { CommandName } from '../smmu/command-layout.ts';
import { enabled, reg } from '../smmu/regs.ts';
import type { SmmuState } from '../smmu/state.ts';
import type { State } from '../state.ts';
import { hasQuirk } from '../vm/exits.ts';
import { devicesBehind, emulatedSmmu, isServed, virtualSmmuOf, vmOf } from '../vm/vm.ts';
import { invalidate } from './forward.ts';
import type { Before, GuestCommand } from './guest-command.ts';
import { unplugNested } from './nested-plug.ts';
import { policiesOf } from './profiles.ts';
import type { Strategy } from './strategies.ts';
import { openEventQueue } from './vevents.ts';

const EVENTQEN = 4;

/** What is done with a command besides its emulation. */
type Handling = 'ste' | 'stes' | 'forward' | 'forward-sid';

// biome-ignore format: a table
const handling: Readonly<Partial<Record<CommandName, Handling>>> = {
  CMD_CFGI_STE:        'ste',
  CMD_CFGI_STE_RANGE:  'stes',
  CMD_CFGI_CD:         'forward-sid',
  CMD_CFGI_CD_ALL:     'forward-sid',
  CMD_ATC_INV:         'forward-sid',
  CMD_TLBI_NH_ALL:     'forward',
  CMD_TLBI_NH_ASID:    'forward',
  CMD_TLBI_NH_VA:      'forward',
  CMD_TLBI_NH_VAA:     'forward',
  CMD_TLBI_NSNH_ALL:   'forward',
};

export const nestedStrategy: Strategy = {
  device: 'assigned',
  plug: (vm, endpoint) => [{ do: 'nested.plug', vm, endpoint, step: 0 }],
  unplug: unplugNested,
  unplugged: (vm, smmu) => [{ do: 'nested.rest', vm, smmu }],
  reset: (_, vm) => [{ do: 'nested.reset', vm }],
  reattach: (vm, smmu, only) => [{ do: 'nested.reattach', vm, smmu, ...(only && { only }) }],
  enabled: (state, vm, smmu) => {
    const late = policiesOf(vmOf(state, vm).config).veventq === 'eventqen';
    const on = (reg(emulatedSmmu(state, smmu), 'CR0') & EVENTQEN) !== 0;
    return late && on ? openEventQueue(state, vm, smmu) : [];
  },
  before: beforeCommands,
};

function handlingOf({ name }: GuestCommand): Handling | undefined {
  return name === undefined ? undefined : handling[name];
}

function beforeCommands(
  state: State,
  vm: string,
  smmu: SmmuState,
  ahead: readonly GuestCommand[],
): Before | undefined {
  const [first] = ahead;
  const how = first && handlingOf(first);
  if (first === undefined || how === undefined) return undefined;
  const { name } = smmu.config;
  if (how === 'ste' || how === 'stes') {
    const ignored = how === 'stes' && policiesOf(vmOf(state, vm).config).ranges === 'ignored';
    if (ignored || hasQuirk(state, vm, 'swallow-cfgi')) return undefined;
    const work = streamsOf(first, how).flatMap(([low, high]) =>
      devicesBehind(vmOf(state, vm), name)
        .filter(isServed)
        .filter(({ streamId }) => streamId >= low && streamId <= high)
        .map(({ endpoint }) => ({ do: 'vste.apply', vm, smmu: name, endpoint, named: true })),
    );
    return work.length === 0 ? undefined : { count: 1, work };
  }
  if (virtualSmmuOf(vmOf(state, vm), name).viommu === 0) return undefined;
  const { batch } = policiesOf(vmOf(state, vm).config);
  const run: GuestCommand[] = [];
  for (const command of ahead) {
    if (!isForwarded(state, vm, name, command)) break;
    run.push(command);
    if (batch === 'each') break;
  }
  if (run.length === 0) return undefined;
  return {
    count: run.length,
    work: invalidate(
      state,
      vm,
      name,
      run.map(({ words }) => words),
    ),
  };
}

/** The StreamIDs of a CMD_CFGI_STE, or of the range of a CMD_CFGI_STE_RANGE (4.3.2). */
function streamsOf({ words }: GuestCommand, how: 'ste' | 'stes'): readonly (readonly [number, number])[] {
  const [, sid = 0, flags = 0] = words;
  if (how === 'ste') return [[sid, sid]];
  const size = 2 ** ((flags & 0x1f) + 1);
  const low = sid - (sid % size);
  return [[low, low + size - 1]];
}

/** Whether a command goes to the kernel. One for a StreamID that it does not know yet is done here alone. */
function isForwarded(state: State, vm: string, smmu: string, command: GuestCommand): boolean {
  const how = handlingOf(command);
  if (how === 'forward') return true;
  if (how !== 'forward-sid') return false;
  const { beforeVdevice } = policiesOf(vmOf(state, vm).config);
  if (beforeVdevice === 'forwarded')
    return command.name !== 'CMD_ATC_INV' || enabled.smmu(emulatedSmmu(state, smmu));
  const sid = command.words[1] ?? 0;
  const device = devicesBehind(vmOf(state, vm), smmu).find(({ streamId }) => streamId === sid);
  if (device === undefined || device.vdevice === 0) return false;
  return beforeVdevice === 'dropped' || device.attached === 'nested';
}
