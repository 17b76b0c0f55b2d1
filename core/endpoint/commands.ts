/** What commands ask of endpoints: CMD_ATC_INV and CMD_PRI_RESP. IHI 0070 4.5, 3.9.1.4, 3.9.1.5. */
import type { Context } from '../machine.ts';
import { stuLog2 } from '../smmu/ats.ts';
import type { CommandFields } from '../smmu/command-layout.ts';
import { enabled } from '../smmu/regs.ts';
import type { InFlight, SmmuState } from '../smmu/state.ts';
import type { State } from '../state.ts';
import { type AtcScope, aboutRequest, coveredAtc } from './atc.ts';
import type { EndpointState } from './state.ts';

const PAGE_LOG2 = 12;

/**
 * CMD_ATC_INV: the endpoint removes what the span meets and answers, refuses (which completes the command
 * too), or does not answer at all.
 */
export function invalidateAtc(
  context: Context,
  smmu: SmmuState,
  fields: CommandFields<'CMD_ATC_INV'>,
  { fetched }: InFlight,
): void {
  const { StreamID, SSV, SubstreamID } = fields;
  if (!enabled.smmu(smmu)) return; // IGNORED (4.5.1)
  const endpoint = endpointOf(context.state, smmu, StreamID);
  const why = refusal(smmu, endpoint, fields);
  if (endpoint === undefined || why !== undefined) {
    note(context, smmu, 'atc-inv-refused', `StreamID 0x${StreamID.toString(16)}: ${why}`);
    return;
  }
  const about = aboutRequest(endpoint, SSV ? SubstreamID : undefined);
  if (endpoint.silent) {
    context.emit(smmu.config.name, { type: 'atc.timedout', ...about, fetched });
    return;
  }
  const read = smmu.config.choices['erratumAtcByteOrder'] === true ? misread(fields) : fields;
  const removed = coveredAtc(endpoint, scopeOf(read, stuLog2(smmu.features)));
  context.emit(endpoint.config.name, { type: 'atc.invalidated', ...about, fetched, removed });
}

/** The eight bytes of the address, the size bit among them, the other way round. */
function misread(fields: CommandFields<'CMD_ATC_INV'>): CommandFields<'CMD_ATC_INV'> {
  const page = 1n << BigInt(PAGE_LOG2);
  let left = BigInt(fields.Address);
  let turned = 0n;
  for (let byte = 0; byte < 8; byte += 1) {
    turned = (turned << 8n) | (left & 0xffn);
    left >>= 8n;
  }
  return { ...fields, Address: Number(turned - (turned % page)) };
}

/** Why the endpoint answers Unsupported Request (3.9.1.5). */
function refusal(
  smmu: SmmuState,
  endpoint: EndpointState | undefined,
  { Size }: CommandFields<'CMD_ATC_INV'>,
): string | undefined {
  if (endpoint === undefined) return 'there is no such endpoint';
  if (!endpoint.ats) return 'ATS is off at the endpoint';
  const small = Size + PAGE_LOG2 < stuLog2(smmu.features);
  return small && smmu.config.choices['roundSmallAtcInv'] === false
    ? 'the span is smaller than STU'
    : undefined;
}

/** The span: 2^(12 + Size) bytes, Address rounded down to them, no less than STU (4.5.1). @param stu log2 of it. */
function scopeOf(
  { SSV, SubstreamID, G, Size, Address }: CommandFields<'CMD_ATC_INV'>,
  stu: number,
): AtcScope {
  const sizeLog2 = Math.max(Size + PAGE_LOG2, stu);
  const start = (BigInt(Address) >> BigInt(sizeLog2)) << BigInt(sizeLog2);
  // G is IGNORED without a PASID. A request without one is for all entries of the span (PCIe, 10.3.8).
  return { start, sizeLog2, substreamId: SSV ? (G ? 'pasids' : SubstreamID) : 'any' };
}

/** CMD_PRI_RESP: the PRG Response goes to the endpoint (4.5.2). */
export function respondToPages(
  context: Context,
  smmu: SmmuState,
  fields: CommandFields<'CMD_PRI_RESP'>,
  { fetched }: InFlight,
): void {
  const { StreamID, SSV, SubstreamID, PRGIndex: prgIndex, Resp } = fields;
  if (!enabled.smmu(smmu) || Resp === 'RESERVED') return; // IGNORED; CERROR_ILL before
  const endpoint = endpointOf(context.state, smmu, StreamID);
  if (endpoint?.groups.includes(prgIndex) !== true)
    note(context, smmu, 'pri-resp-unexpected', `StreamID 0x${StreamID.toString(16)}, group ${prgIndex}`);
  if (endpoint === undefined) return;
  const about = aboutRequest(endpoint, SSV ? SubstreamID : undefined);
  context.emit(smmu.config.name, { type: 'page.responded', ...about, prgIndex, response: Resp, fetched });
}

function endpointOf(state: State, smmu: SmmuState, streamId: number): EndpointState | undefined {
  return Object.values(state.endpoints).find(
    ({ config }) => config.smmu === smmu.config.name && config.streamId === streamId,
  );
}

function note({ emit }: Context, smmu: SmmuState, rule: string, detail: string): void {
  emit(smmu.config.name, { type: 'misuse.noted', smmu: smmu.config.name, rule, detail });
}
