/**
 * Mapping an iommufd file: regions that vIOMMUs have made for pages of hardware. A mapping keeps the vIOMMU and
 * the context; what a store to the page does is not modelled. linux: iommufd/main.c, iommufd_fops_mmap.
 */
import type { Decider, Context as Machine } from '../machine.ts';
import type { Frame } from '../tasks/task.ts';
import type { Errno } from './errno.ts';
import { fdOf } from './files.ts';
import { keepContext, leaveContext } from './iommufd/context.ts';
import { change, objectOf, objectsOf } from './iommufd/object.ts';
import { contextIn } from './iommufd/object-handlers.ts';
import type { Viommu } from './iommufd/state.ts';
import { kernelOf, switchOf } from './kernel.ts';
import { PAGE_BYTES } from './process/state.ts';
import type { FileOf } from './state.ts';
import { constants } from './uapi/enums.ts';

export const mapFile: Decider<'mmap'> = (machine, { fd, at, length, private: own, exec }) => {
  const file = fileOf(machine, fd);
  if ('errno' in file) return told(machine, file.errno);
  if (!switchOf(kernelOf(machine.state), 'mmap')) return told(machine, 'ENODEV');
  if (length === 0n || length % BigInt(PAGE_BYTES) !== 0n || own === true) return told(machine, 'EINVAL');
  if (exec === true) return told(machine, 'EPERM');
  const viommu = regionAt(machine, file.context, at);
  if (viommu === undefined || length !== BigInt(constants.TEGRA241_VINTF_MMAP_LENGTH))
    return told(machine, 'ENXIO');
  keepContext(machine, file.context);
  change(machine, file.context, viommu, { users: viommu.users + 1, maps: [...viommu.maps, file.process] });
  return told(machine);
};

export const unmapFile: Decider<'munmap'> = (machine, { fd, at }) => {
  const file = fileOf(machine, fd);
  if ('errno' in file) return told(machine, file.errno);
  const viommu = regionAt(machine, file.context, at);
  if (viommu === undefined || !viommu.maps.includes(file.process)) return told(machine, 'EINVAL');
  unmap(machine, file.context, viommu, file.process);
  // The file that it was mapped by is open, and keeps the context.
  leaveContext(machine, file.context);
  return told(machine);
};

function fileOf({ state }: Machine, name: string): FileOf<'iommufd'> | { readonly errno: Errno } {
  const file = kernelOf(state).files[fdOf(state, name) ?? -1];
  if (file === undefined) return { errno: 'EBADF' };
  return file.kind === 'iommufd' ? file : { errno: 'ENODEV' };
}

/** The vIOMMU whose region begins there. */
function regionAt({ state }: Machine, context: number, offset: bigint): Viommu | undefined {
  for (const viommu of objectsOf(contextIn(state, context), 'viommu'))
    if (viommu.ready && viommu.mmapOffset !== 0 && BigInt(viommu.mmapOffset) === offset) return viommu;
  return undefined;
}

function unmap(machine: Machine, context: number, viommu: Viommu, process: string): void {
  const maps = viommu.maps.toSpliced(viommu.maps.indexOf(process), 1);
  change(machine, context, viommu, { users: viommu.users - 1, maps });
}

/** The mappings of a process that ends go with it; with the last that kept it, a context ends. */
export function dropMaps(machine: Machine, process: string): readonly Frame[] {
  const frames: Frame[] = [];
  for (const context of Object.values(kernelOf(machine.state).contexts)) {
    for (const viommu of [...objectsOf(context, 'viommu')]) {
      for (const each of viommu.maps) {
        if (each !== process) continue;
        const now = objectOf(machine.state, context.id, viommu.id, 'viommu');
        unmap(machine, context.id, now, process);
        frames.push(...leaveContext(machine, context.id));
      }
    }
  }
  return frames;
}

function told({ state, emit }: Machine, errno?: Errno): void {
  emit('kernel', {
    type: 'syscall.returned',
    call: state.outside,
    ...(errno === undefined ? {} : { errno }),
  });
}
