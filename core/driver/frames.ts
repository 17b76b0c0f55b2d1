/** Every kind of frame that drivers have. */

import { atsRow, commitRow, leaveRow, prepareRow } from './attach.ts';
import { abortEnteredRow, abortEnterRow, abortInstallRow, abortLeaveRow } from './attach-through-abort.ts';
import { cdRow } from './cd.ts';
import { fillRow, issueRow, waitRow } from './cmdq.ts';
import { gatherRow, publishRow } from './cmdq-runs.ts';
import { freeRow } from './domains.ts';
import { evtqRow, priqRow } from './event-queues.ts';
import { gerrorRow } from './interrupts.ts';
import { rangeRow } from './invalidations.ts';
import { defaultRow, probeRow } from './masters.ts';
import { bootRow, registerRow, shutdownRow, stepRow } from './probe.ts';
import {
  enableRow,
  openedRow,
  openRow,
  secondErrorRow,
  secondIssueRow,
  secondWaitRow,
} from './second-queue.ts';
import { steRow, storeRow } from './stream-table.ts';
import { mapRow } from './table-map.ts';
import { tableRow, unmapRow } from './table-unmap.ts';
import { tellRow } from './tell.ts';
import { invalidateRow } from './viommu.ts';

// biome-ignore format: a table
export const driverFrames = {
  'driver.boot':       bootRow,
  'driver.step':       stepRow,
  'driver.shutdown':   shutdownRow,
  'register.wait':     registerRow,
  'endpoint.probe':    probeRow,
  'endpoint.default':  defaultRow,
  'cmdq.issue':        issueRow,
  'cmdq.fill':         fillRow,
  'cmdq.gather':       gatherRow,
  'cmdq.publish':      publishRow,
  'cmdq.wait':         waitRow,
  'entry.store':       storeRow,
  'ste.write':         steRow,
  'cd.write':          cdRow,
  'attach.prepare':    prepareRow,
  'attach.commit':     commitRow,
  'abort.leave':       abortLeaveRow,
  'abort.enter':       abortEnterRow,
  'abort.install':     abortInstallRow,
  'abort.entered':     abortEnteredRow,
  'ats.switch':        atsRow,
  'pasid.leave':       leaveRow,
  'domain.free':       freeRow,
  'map.go':            mapRow,
  'unmap.go':          unmapRow,
  'table.free':        tableRow,
  'invs.range':        rangeRow,
  'viommu.invalidate': invalidateRow,
  'driver.tell':       tellRow,
  'irq.gerror':        gerrorRow,
  'irq.evtq':          evtqRow,
  'irq.priq':          priqRow,
  'irq.second':        secondErrorRow,
  'second.open':       openRow,
  'second.enable': enableRow,
  'second.opened':     openedRow,
  'second.issue':      secondIssueRow,
  'second.wait':       secondWaitRow,
} as const;
