/** The frames of virtual machines and their VMMs, by name. */

import { linkRow } from '../vmm/broadcast.ts';
import { callRow, closedRow, closeRow, openRow, returnedRow } from '../vmm/call.ts';
import { cmdqvInfoRow, cmdqvMadeRow, cmdqvUnmapRow } from '../vmm/cmdqv-plug.ts';
import { consumeRow, failedRow, takenRow } from '../vmm/consume.ts';
import { answeredRow } from '../vmm/forward.ts';
import { slotAnsweredRow, slotsMappedRow } from '../vmm/map-slots.ts';
import { adoptRow, infoRow, ioasRow, madeRow, parentRow, plugRow, restRow } from '../vmm/nested-plug.ts';
import {
  secondEventsRow,
  secondGoneRow,
  secondMadeRow,
  secondReadRow,
  secondWrittenRow,
} from '../vmm/second-queues.ts';
import { fillRow, renewRow, shadowAttachedRow, shadowIoasRow, shadowPlugRow } from '../vmm/shadow.ts';
import { readRow, veventqMadeRow } from '../vmm/vevents.ts';
import {
  allocatedRow,
  applyRow,
  attachedRow,
  boundRow,
  installRow,
  reattachRow,
  resetRow,
} from '../vmm/vste.ts';
import { writtenRow } from '../vmm/written.ts';
import { answerRow } from './answer.ts';
import { bootedRow } from './create.ts';
import { exitEndRow } from './exits.ts';
import { irqsRow } from './irqs.ts';
import { bindRow, boundDeviceRow, foundRow, plugEndRow, refusedRow } from './plug.ts';
import { slotGoneRow, slotUnmappedRow } from './slots.ts';
import { goneRow, letGoRow, lostRow, unplugBeginRow, unplugRow } from './unplug.ts';

// biome-ignore format: a table
export const vmFrames = {
  'exit.end':            exitEndRow,
  'vm.answer':           answerRow,
  'plug.bind':           bindRow,
  'plug.bound':          boundDeviceRow,
  'plug.refused':        refusedRow,
  'plug.end':            plugEndRow,
  'unplug.begin':        unplugBeginRow,
  'unplug.go':           unplugRow,
  'device.gone':         goneRow,
  'guest.found':         foundRow,
  'guest.lost':          lostRow,
  'guest.letgo':         letGoRow,
  'guest.booted':        bootedRow,
  'irqs.set':            irqsRow,

  'vmm.call':            callRow,
  'vmm.returned':        returnedRow,
  'vmm.open':            openRow,
  'vmm.close':           closeRow,
  'vmm.closed':          closedRow,
  'slot.answered':       slotAnsweredRow,
  'slot.unmapped':       slotUnmappedRow,
  'slot.gone':           slotGoneRow,
  'kvm.link':            linkRow,
  'slots.mapped':        slotsMappedRow,

  'vsmmu.written':       writtenRow,
  'vsmmu.consume':       consumeRow,
  'vsmmu.taken':         takenRow,
  'vsmmu.failed':        failedRow,
  'invalidate.answered': answeredRow,

  'nested.plug':         plugRow,
  'nested.ioas':         ioasRow,
  'nested.parent':       parentRow,
  'nested.adopt':        adoptRow,
  'nested.info':         infoRow,
  'nested.made':         madeRow,
  'nested.rest':         restRow,
  'nested.reset':        resetRow,
  'nested.reattach':     reattachRow,
  'vste.apply':          applyRow,
  'vste.bound':          boundRow,
  'vste.install':        installRow,
  'vste.allocated':      allocatedRow,
  'vste.attached':       attachedRow,
  'cmdqv.info':          cmdqvInfoRow,
  'cmdqv.made':          cmdqvMadeRow,
  'cmdqv.unmap':         cmdqvUnmapRow,
  'second.written':      secondWrittenRow,
  'second.gone':         secondGoneRow,
  'second.made':         secondMadeRow,
  'second.events':       secondEventsRow,
  'second.read':         secondReadRow,
  'shadow.plug':         shadowPlugRow,
  'shadow.ioas':         shadowIoasRow,
  'shadow.attached':     shadowAttachedRow,
  'shadow.renew':        renewRow,
  'shadow.fill':         fillRow,
  'veventq.made':        veventqMadeRow,
  'vevents.read':        readRow,
} as const;
