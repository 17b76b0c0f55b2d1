/** The frames of virtio-iommus: of the device in the VMM, and of the guest's driver. */
import { calledRow, effectRow } from './effects.ts';
import { reportsRow } from './fault.ts';
import {
  attachedRow,
  attachRow,
  closeRow,
  detachedRow,
  detachRow,
  forgetRow,
  probedRow,
  probeRow,
  replayRow,
} from './guest-attach.ts';
import { bootRow, foundRow } from './guest-boot.ts';
import { mapRow, unmapRow } from './guest-map.ts';
import { changeRow, ioasRow, pluggedRow, plugRow, unplugRow } from './plug.ts';
import { sendRow, spinRow, syncRow } from './requests.ts';
import { answerRow, serveRow } from './server.ts';
import { resumeRow } from './strategy.ts';

// biome-ignore format: a table
export const virtioFrames = {
  'virtio.plug':      plugRow,
  'virtio.ioas':      ioasRow,
  'virtio.plugged':   pluggedRow,
  'virtio.unplug':    unplugRow,
  'virtio.change':    changeRow,
  'virtio.serve':     serveRow,
  'virtio.effect':    effectRow,
  'virtio.called':    calledRow,
  'virtio.answer':    answerRow,

  'virtio.send':      sendRow,
  'virtio.sync':      syncRow,
  'virtio.spin':      spinRow,
  'vdriver.boot':     bootRow,
  'vdriver.found':    foundRow,
  'vdriver.probe':    probeRow,
  'vdriver.probed':   probedRow,
  'vdriver.attach':   attachRow,
  'vdriver.attached': attachedRow,
  'vdriver.replay':   replayRow,
  'vdriver.detach':   detachRow,
  'vdriver.detached': detachedRow,
  'vdriver.close':    closeRow,
  'vdriver.forget':   forgetRow,
  'vdriver.resume':   resumeRow,
  'vdriver.map':      mapRow,
  'vdriver.unmap':    unmapRow,
  'vdriver.reports':  reportsRow,
} as const;
