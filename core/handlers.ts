/** Joins the handlers of the parts: how each event evolves the state. No decisions here. */
import { dmaApiHandlers } from './dma-api/handlers.ts';
import { driverHandlers, latchInterrupt } from './driver/handlers.ts';
import { endpointHandlers } from './endpoint/handlers.ts';
import { kernelHandlers } from './kernel/handlers.ts';
import type { Handlers } from './machine.ts';
import { memoryHandlers } from './memory/handlers.ts';
import { mmHandlers } from './mm/handlers.ts';
import { setPath } from './settings.ts';
import { smmuHandlers } from './smmu/handlers.ts';
import { taskHandlers } from './tasks/handlers.ts';
import { virtioHandlers } from './virtio-iommu/handlers.ts';
import { vmHandlers } from './vm/handlers.ts';

export const handlers: Handlers = {
  'turn.passed': () => {},
  'value.set': (state, { path, value }) => setPath(state, path, value),
  ...memoryHandlers,
  ...smmuHandlers,
  ...endpointHandlers,
  ...taskHandlers,
  ...driverHandlers,
  ...dmaApiHandlers,
  ...mmHandlers,
  ...kernelHandlers,
  ...vmHandlers,
  ...virtioHandlers,
  'interrupt.raised': latchInterrupt,
};
