/** Joins the deciders of the parts: what each stimulus asks for. */

import { askAttach, askDetach, askMap, askProbe, askShutdown, askUnmap, askWork } from './dma-api/ask.ts';
import { requestTranslation } from './endpoint/ats.ts';
import { sendMessage } from './endpoint/msi.ts';
import { requestPages } from './endpoint/pri.ts';
import type { Event } from './event.ts';
import { bootKernel } from './kernel/boot.ts';
import { mapFile, unmapFile } from './kernel/mmap.ts';
import {
  askMemfd,
  askMemory,
  closeFd,
  exitProcess,
  freeMemory,
  issueIoctl,
  openName,
  readFd,
  readProcess,
  writeFd,
  writeProcess,
} from './kernel/syscalls.ts';
import { guestTlbi } from './kvm/tlbi.ts';
import { rollOver } from './kvm/vmids.ts';
import type { Deciders } from './machine.ts';
import { readMemory, writeMemory } from './memory/access.ts';
import { askBind, askMmExit, askMmMap, askMmProtect, askMmUnmap, askUnbind } from './mm/ask.ts';
import { changeSetting, setEndpoint } from './settings.ts';
import { receiveBroadcast } from './smmu/broadcast.ts';
import { issueCommand } from './smmu/cmdq.ts';
import { takeTurn } from './turns.ts';
import { accessAny } from './virtio-iommu/emulated-dma.ts';
import { bootGuest, createVm, endVm } from './vm/create.ts';
import { changeInterrupts } from './vm/irqs.ts';
import { plugDevice } from './vm/plug.ts';
import { changeSlot } from './vm/slots.ts';
import { unplugDevice } from './vm/unplug.ts';
import { readAccess, writeAccess } from './vmm/guest-access.ts';

export const deciders: Deciders = {
  'mmio.write': writeAccess,
  'mmio.read': readAccess,
  'mem.write': writeMemory,
  'mem.read': readMemory,
  dma: accessAny,
  'ats.translate': requestTranslation,
  'pri.request': requestPages,
  'endpoint.set': setEndpoint,
  'msi.send': sendMessage,
  'command.issue': issueCommand,
  'cpu.tlbi': receiveBroadcast,
  'kernel.boot': bootKernel,
  'mem.alloc': askMemory,
  'mem.free': freeMemory,
  'mem.memfd': askMemfd,
  'user.write': writeProcess,
  'user.read': readProcess,
  open: openName,
  close: closeFd,
  read: readFd,
  write: writeFd,
  mmap: mapFile,
  munmap: unmapFile,
  'process.exit': exitProcess,
  ioctl: issueIoctl,
  'vm.create': createVm,
  'vm.plug': plugDevice,
  'vm.unplug': unplugDevice,
  'vm.end': endVm,
  'vm.slot': changeSlot,
  'guest.irq': changeInterrupts,
  'kvm.tlbi': guestTlbi,
  'kvm.rollover': rollOver,
  'guest.boot': bootGuest,
  'guest.map': askMap,
  'guest.unmap': askUnmap,
  'guest.attach': askAttach,
  'guest.detach': askDetach,
  'guest.probe': askProbe,
  'guest.work': askWork,
  'guest.shutdown': askShutdown,
  'mm.map': askMmMap,
  'mm.unmap': askMmUnmap,
  'mm.protect': askMmProtect,
  'mm.exit': askMmExit,
  'sva.bind': askBind,
  'sva.unbind': askUnbind,
  turn: takeTurn,
  set: changeSetting,
  note: () => {},
  observe: ({ emit }, { events }) => {
    for (const { actor, ...event } of events) emit(String(actor ?? 'trace'), event as unknown as Event);
  },
};
