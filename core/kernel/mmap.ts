/**
 * Mapping an iommufd file: regions that vIOMMUs have made for pages of hardware. A mapping keeps the vIOMMU and
 * the context; what a store to the page does: `core/cmdqv/unit.ts`. linux: iommufd/main.c, iommufd_fops_mmap.
 */
import type { Decider, Context as Machine } from '../machine.ts';
import type { StimulusOf } from '../stimulus.ts';
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

export const mapFile: Decider<'mmap'> = (machine, asked) => told(machine, mapRegion(machine, asked));

type Asked = Pick<StimulusOf<'mmap'>, 'fd' | 'at' | 'length' | 'private' | 'exec'>;

/** Maps a region for the process that opened the file. */
export function mapRegion(
  machine: Machine,
  { fd, at, length, private: own, exec }: Asked,
): Errno | undefined {
  const file = fileOf(machine, fd);
  if ('errno' in file) return file.errno;
  if (!switchOf(kernelOf(machine.state), 'mmap')) return 'ENODEV';
  if (length === 0n || length % BigInt(PAGE_BYTES) !== 0n || own === true) return 'EINVAL';
  if (exec === true) return 'EPERM';
  const viommu = regionAt(machine, file.context, at);
  if (viommu === undefined || length !== BigInt(constants.TEGRA241_VINTF_MMAP_LENGTH)) return 'ENXIO';
  keepContext(machine, file.context);
  change(machine, file.context, viommu, { users: viommu.users + 1, maps: [...viommu.maps, file.process] });
  return undefined;
}

/** The interface whose page a region is; for who has mapped it. */
export function vintfAt(machine: Machine, fd: string, at: bigint): number {
  const file = fileOf(machine, fd);
  return 'errno' in file ? 0 : (regionAt(machine, file.context, at)?.vintf ?? 0);
}

export const unmapFile: Decider<'munmap'> = (machine, { fd, at }) =>
  told(machine, unmapRegion(machine, fd, at));

/** Takes a mapping of a region away. */
export function unmapRegion(machine: Machine, fd: string, at: bigint): Errno | undefined {
  const file = fileOf(machine, fd);
  if ('errno' in file) return file.errno;
  const viommu = regionAt(machine, file.context, at);
  if (viommu === undefined || !viommu.maps.includes(file.process)) return 'EINVAL';
  unmap(machine, file.context, viommu, file.process);
  // The file that it was mapped by is open, and keeps the context.
  leaveContext(machine, file.context);
  return undefined;
}

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
