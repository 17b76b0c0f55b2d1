/** What scenarios ask of a VM as a whole: made, its guest started, ended. */
import type { DriverConfig } from '../config.ts';
import type { Platform } from '../driver/features.ts';
import { type BootOptions, bootFrames, bootOptions } from '../driver/probe.ts';
import { allocate } from '../kernel/process/process.ts';
import { endProcess } from '../kernel/work.ts';
import { giveVmid } from '../kvm/vmids.ts';
import { own } from '../lookup.ts';
import type { Decider } from '../machine.ts';
import { smmuConfig } from '../smmu/profiles.ts';
import type { State } from '../state.ts';
import { beginTask } from '../tasks/begin.ts';
import { cpuUnit } from '../tasks/cpu.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { withBroadcast } from '../vmm/broadcast.ts';
import { withProperties } from '../vmm/idr.ts';
import { policiesOf, type VmmProfile, vmmProfiles } from '../vmm/profiles.ts';
import { strategyOf } from '../vmm/strategies.ts';
import { withUpdates } from '../vmm/updates.ts';
import { answer, later } from './answer.ts';
import { backMemory } from './memory.ts';
import type { Slot, VmConfig } from './state.ts';
import { BOOTED, endpointOf, findVm, isOn } from './vm.ts';

/** Register pages of emulated SMMUs begin here; nothing else of the machine does. */
const EMULATED_BASE = 0x9050_0000;

/** The VM, its memory and its emulated SMMUs. */
export const createVm: Decider<'vm.create'> = (context, { vm, config: given }) => {
  const { emit, state } = context;
  if (state.kernel === undefined || own(state.vms, vm) !== undefined) return;
  const strategy = strategyOf(policiesOf(given).strategy);
  const config = strategy.noSmmus === true ? { ...given, smmus: [] } : given;
  const slots: Slot[] = [];
  for (const { base, size } of config.ram) {
    const va = allocate(context, vm, size, 'contiguous');
    if (va === undefined) {
      // A VMM without memory for its guest ends.
      endProcess(context, vm);
      return answer(context, vm, { errno: 'ENOMEM' });
    }
    slots.push({ gpa: base, bytes: size, va });
  }
  emit(vm, { type: 'vm.made', vm, config });
  giveVmid(context, vm, config.vmid);
  backMemory(context, vm, slots);
  for (const name of config.smmus)
    emit(vm, { type: 'smmu.made', smmu: name, config: emulatedConfig(state, vm, name, config) });
  strategy.create?.(context, vm);
  answer(context, vm, {});
};

function emulatedConfig(state: State, vm: string, name: string, config: VmConfig) {
  const { profile, idr = {}, policies, properties = {} } = config;
  const { hardware, idr: told } = vmmProfiles[profile];
  const { strategy, eventqFull, syncMsi, doorbell } = policiesOf({ profile, policies });
  const emulates = strategy === 'trap-emulate';
  const keeps = !emulates && doorbell === 'kept';
  const none = { ste: 0, cd: 0, walk: 0 };
  const caches = emulates ? {} : { caches: keeps ? none : { ...none, tlb: 0 } };
  const shown = withProperties(
    { ...withUpdates(state, config, withBroadcast(state, config, told)), ...idr },
    properties,
  );
  const made = smmuConfig(hardware, { name, base: EMULATED_BASE, idr: shown, ...caches });
  const emulator = {
    ...(eventqFull === 'abt-err' ? { eventqFull } : {}),
    ...(syncMsi === 'ignored' ? {} : { syncMsi }),
    ...(keeps ? { tlb: doorbell } : {}),
  };
  return { ...made, space: vm, ...(Object.keys(emulator).length === 0 ? {} : { emulator }) };
}

/** Power-on: the VMM resets its devices, and the guest's driver probes each SMMU. */
export const bootGuest: Decider<'guest.boot'> = (context, { vm, platform = {}, driver }) => {
  const { state } = context;
  const owner = findVm(state, vm);
  if (owner === undefined || isOn(state, owner)) return;
  const strategy = strategyOf(policiesOf(owner.config).strategy);
  const { platform: told }: VmmProfile = vmmProfiles[owner.config.profile];
  const frames = [
    ...(strategy.reset?.(state, vm) ?? []),
    ...Object.keys(owner.smmus).flatMap((smmu) => [
      ...bootFrames(smmu, guestOptions(vm, { ...told, ...platform }, driver)),
    ]),
    ...(strategy.boot?.(vm, { vhe: false, ...platform }) ?? []),
    { do: BOOTED, vm },
  ];
  later(context, cpuUnit(vm, 0), 'boot', frames, vm);
};

/** There is no EL2 in a guest. */
function guestOptions(vm: string, platform: Partial<Platform>, driver: DriverConfig = {}): BootOptions {
  const { platform: more, ...release } = bootOptions(driver);
  return { owner: vm, platform: { vhe: false, ...more, ...platform }, ...release };
}

export const bootedRow: FrameRow<Frame & { readonly vm: string }> = {
  run: ({ emit }, { vm }) => {
    emit(vm, { type: 'vm.changed', vm, set: { booted: true } });
  },
};

/** The VM is killed: its process ends, with all it had open. */
export const endVm: Decider<'vm.end'> = (context, { vm }) => {
  const owner = findVm(context.state, vm);
  if (owner === undefined) return;
  for (const device of Object.values(owner.devices))
    if (device.kind === 'emulated')
      context.emit(vm, { type: 'endpoint.removed', endpoint: endpointOf(owner, device) });
  context.emit(vm, { type: 'vm.ended', vm });
  const end = { do: 'vm.answer', vm, about: context.state.outside };
  beginTask(context, 'kernel', 'exit', [{ do: 'process.exit', process: vm }, end]);
};
