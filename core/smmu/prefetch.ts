/**
 * Reads that no access asked for: CMD_PREFETCH_CONFIG and CMD_PREFETCH_ADDR (4.2), and what hardware may
 * fetch ahead on its own (choices). They record nothing and mark nothing dirty (3.14).
 */
import type { Context } from '../machine.ts';
import type { CommandFields } from './command-layout.ts';
import { findCd, findSte, selectCd } from './configuration.ts';
import type { Updates } from './httu.ts';
import { enabled } from './regs.ts';
import type { SmmuState } from './state.ts';
import { steConfig } from './ste.ts';
import { type Request, type Served, translate } from './translate.ts';

/** A speculative read sets AF, never dirty state (3.13, 3.14). */
const speculative: Updates = { af: true, dirty: 'refuse' };
/** What hardware reads ahead leaves all descriptors as they are. */
const ahead: Updates = { af: false, dirty: 'refuse' };
/** Most translations of one CMD_PREFETCH_ADDR: it may stop early (4.2.2). */
const PREFETCH_MAX = 64;

type Target = Pick<CommandFields<'CMD_PREFETCH_CONFIG'>, 'SSV' | 'SubstreamID' | 'StreamID'>;

/** Fetches the STE, and the CD where stage 1 is used. Nothing while SMMUEN=0 (4.2.1). */
export function prefetchConfig(
  context: Context,
  smmu: SmmuState,
  { SSV, SubstreamID, StreamID }: Target,
): void {
  if (!enabled.smmu(smmu)) return;
  const ste = findSte(context, smmu, StreamID);
  if (!ste.ok || steConfig(ste.held.value) === 'ABORT') return;
  const selected = selectCd(ste.held.value, SSV ? SubstreamID : undefined, smmu);
  if (selected.kind === 'cd') findCd(context, smmu, StreamID, ste.held.value, selected.index, speculative);
}

/** Translates Address + n * 2^(12 + Stride) for n below 2^Size, as far as it goes (4.2.2). */
export function prefetchAddresses(
  context: Context,
  smmu: SmmuState,
  fields: CommandFields<'CMD_PREFETCH_ADDR'>,
): void {
  if (!enabled.smmu(smmu)) return;
  const { SSV, SubstreamID, StreamID, Size, Stride, Address } = fields;
  const count = Math.min(2 ** Size, PREFETCH_MAX);
  for (let n = 0; n < count; n += 1) {
    const iova = BigInt.asUintN(64, BigInt(Address) + (BigInt(n) << BigInt(12 + Stride)));
    const request = readOf(StreamID, SSV ? SubstreamID : undefined, iova);
    if (translate(context, smmu, request, speculative).kind === 'refused') return;
  }
}

/** What hardware fetches ahead after an access that walked: choices `prefetchTranslations`, `prefetchConfiguration`. */
export function prefetchNear(context: Context, smmu: SmmuState, request: Request, answer: Served): void {
  const { prefetchTranslations, prefetchConfiguration } = smmu.config.choices;
  if (answer.via !== 'walk') return;
  if (prefetchTranslations === true && answer.output !== undefined) {
    const size = 1n << BigInt(answer.output.sizeLog2);
    const iova = BigInt.asUintN(64, request.iova - (request.iova % size) + size);
    translate(context, smmu, readOf(request.streamId, request.substreamId, iova), ahead);
  }
  if (prefetchConfiguration === true) {
    const neighbour = (request.streamId ^ 1) >>> 0;
    if (smmu.caches.ste.find(neighbour, 0) === undefined) findSte(context, smmu, neighbour);
  }
}

function readOf(streamId: number, substreamId: number | undefined, iova: bigint): Request {
  return { streamId, substreamId, iova, access: 'read', exec: false, privileged: false };
}
