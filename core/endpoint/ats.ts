/**
 * An endpoint's Translation Requests (IHI 0070 3.9): the completion has an entry for each translation, all of
 * the size of the first; what grants anything is cached. Fewer entries than asked are always allowed, so it
 * ends before the first page that differs.
 */
import type { Context, Decider } from '../machine.ts';
import {
  answerRequest,
  type Completion,
  isGranted,
  recordRequest,
  stuLog2,
  type TranslationRequest,
} from '../smmu/ats.ts';
import type { SmmuState } from '../smmu/state.ts';
import { aboutRequest, fillAtc, findEndpoint } from './atc.ts';
import type { EndpointState } from './state.ts';

/** Most entries that the model puts into one completion. */
const ENTRIES_MAX = 16;

export const requestTranslation: Decider<'ats.translate'> = (context, stimulus) => {
  const found = findEndpoint(context.state, stimulus.endpoint);
  if (found === undefined) return;
  const { endpoint, smmu } = found;
  const { iova, size, access } = stimulus;
  const substreamId = stimulus.ssid === undefined ? undefined : stimulus.ssid % 2 ** 20;
  if (!endpoint.ats) {
    const about = { ...aboutRequest(endpoint, substreamId), request: 'translation', iova };
    context.emit(endpoint.config.name, { type: 'request.withheld', ...about, why: 'ATS is off' });
    return;
  }
  const stu = 1n << BigInt(stuLog2(smmu.features));
  const start = iova - (iova % stu);
  // Without a PASID there is no way to ask for these (13.7.1).
  const exec = substreamId !== undefined && stimulus.exec === true;
  const privileged = substreamId !== undefined && stimulus.privileged === true;
  const stus = Number((iova + BigInt(Math.max(size, 1)) - start + stu - 1n) / stu);
  const { streamId } = endpoint.config;
  complete(context, smmu, endpoint, { streamId, substreamId, iova: start, access, exec, privileged, stus });
};

function complete(
  context: Context,
  smmu: SmmuState,
  endpoint: EndpointState,
  request: TranslationRequest,
): void {
  const end = request.iova + (BigInt(request.stus) << BigInt(stuLog2(smmu.features)));
  const first = answerRequest(context, smmu, request);
  if (first === undefined) return;
  if (first.answer !== 'success') recordRequest(context, smmu, request, first);
  const size = first.answer === 'success' ? 1n << BigInt(first.sizeLog2) : 0n;
  state(context, endpoint, request, request.iova, first);
  if (first.answer !== 'success' || !isGranted(first)) return;
  let iova = request.iova - (request.iova % size) + size;
  for (let entries = 1; entries < ENTRIES_MAX && iova < end && iova < 1n << 64n; entries += 1) {
    const next = answerRequest(context, smmu, { ...request, iova }, first.sizeLog2);
    if (next?.answer !== 'success' || !isGranted(next)) return;
    state(context, endpoint, request, iova, { ...next, sizeLog2: first.sizeLog2 });
    iova += size;
  }
}

/** One entry of the completion, and what the ATC makes of it. */
function state(
  context: Context,
  endpoint: EndpointState,
  request: TranslationRequest,
  at: bigint,
  completion: Completion,
): void {
  const about = aboutRequest(endpoint, request.substreamId);
  const { answer, why: reason, basis } = completion;
  if (completion.answer !== 'success' || !isGranted(completion)) {
    const [permissions, sizeLog2] =
      completion.answer === 'success' ? [completion.permissions, completion.sizeLog2] : ['', 0];
    const entry = { ...about, iova: at, answer, pa: 0, sizeLog2, permissions, reason, ...basis };
    context.emit(about.smmu, { type: 'ats.answered', ...entry });
    return;
  }
  const { sizeLog2, permissions, address } = completion;
  const offset = at % (1n << BigInt(sizeLog2));
  const [iova, pa] = [at - offset, address - Number(offset)];
  context.emit(about.smmu, {
    type: 'ats.answered',
    ...about,
    iova,
    answer,
    pa,
    sizeLog2,
    permissions,
    reason,
    ...basis,
  });
  fillAtc(context, endpoint, { ...about, iova, sizeLog2, pa, permissions, ...basis });
}
