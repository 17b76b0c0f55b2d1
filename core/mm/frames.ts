/** Every kind of frame that address spaces have. */
import { bindRow, boundRow, unbindRow, unboundRow } from './bind.ts';
import { freeRow, mapRow, protectRow, settleRow, unmapRow } from './change.ts';
import { beginRow, dropRow, exitRow, teardownRow } from './exit.ts';
import { notifyRow } from './notify.ts';

// biome-ignore format: a table
export const mmFrames = {
  'mm.map':      mapRow,
  'mm.unmap':    unmapRow,
  'mm.protect':  protectRow,
  'mm.notify':   notifyRow,
  'mm.settle':   settleRow,
  'mm.free':     freeRow,
  'mm.exit':     exitRow,
  'mm.begin':    beginRow,
  'mm.teardown': teardownRow,
  'mm.drop':     dropRow,
  'sva.bind':    bindRow,
  'sva.bound':   boundRow,
  'sva.unbind':  unbindRow,
  'sva.unbound': unboundRow,
} as const;
