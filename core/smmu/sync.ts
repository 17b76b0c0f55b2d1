/** The completion of a CMD_SYNC: what it still makes true, and its signal, which comes last. IHI 0070 4.7.3, 3.18. */
import { isQueueDraining } from '../cmdqv/unit.ts';
import type { Words } from '../layout/field.ts';
import type { Context } from '../machine.ts';
import { commandLayouts } from './command-layout.ts';
import { raiseError } from './gerror.ts';
import { sendMsi } from './msi.ts';
import { retryUntold } from './stalls.ts';
import type { SmmuState } from './state.ts';

const { CS, MSIAddress, MSIData } = commandLayouts.CMD_SYNC.layout.fields;

/** Time-outs of a vendor's queues that are being taken away (linux: tegra241_vcmdq_hw_flush_timeout). */
function flushTimeouts({ emit }: Context, smmu: SmmuState): void {
  for (const queue in smmu.atcLost)
    if (isQueueDraining(smmu, queue))
      emit(smmu.config.name, { type: 'atc.flushed', smmu: smmu.config.name, queue });
}

/** Completes a CMD_SYNC that CONS has passed. */
export function completeSync(
  context: Context,
  smmu: SmmuState,
  about: { readonly queue?: string; readonly index: number; readonly fetched: number },
  words: Words,
): void {
  const name = smmu.config.name;
  retryUntold(context, smmu);
  context.emit(name, { type: 'sync.completed', smmu: name, ...about });
  if (about.queue === undefined) flushTimeouts(context, smmu);
  const signal = CS.read(words);
  const source = 'CMD_SYNC';
  if (signal === 'SIG_SEV' && smmu.features.sev && smmu.config.emulator?.syncMsi !== 'never')
    context.emit(name, { type: 'event.sent', smmu: name, source });
  if (signal !== 'SIG_IRQ') return;
  // It has no enable in IRQ_CTRL; the wired edge comes whatever MSIAddress is (4.7.3).
  context.emit(name, { type: 'interrupt.raised', smmu: name, source });
  const fate = sendMsi(context, smmu, {
    source,
    address: MSIAddress.read(words),
    data: MSIData.read(words),
  });
  if (fate === 'aborted') raiseError(context, smmu, 'MSI_CMDQ_ABT_ERR');
}
