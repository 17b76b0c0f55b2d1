/** An endpoint's Page Requests, and the Stop PASID marker, as they leave it: IHI 0070 8, 8.2. */
import { encode } from '../layout/layout.ts';
import type { Decider } from '../machine.ts';
import { PRI_ENTRY } from '../smmu/event-record.ts';
import { limits } from '../smmu/state.ts';
import { aboutRequest, findEndpoint } from './atc.ts';

/** A PRGIndex has 9 bits. */
const GROUPS = 512;

export const requestPages: Decider<'pri.request'> = (context, stimulus) => {
  const found = findEndpoint(context.state, stimulus.endpoint);
  if (found === undefined) return;
  const { endpoint, smmu } = found;
  const { iova, access, last } = stimulus;
  const substreamId = stimulus.ssid === undefined ? undefined : stimulus.ssid % 2 ** 20;
  const about = aboutRequest(endpoint, substreamId);
  const why = !endpoint.pri
    ? 'PRI is off'
    : smmu.pageRequests.length >= limits.pageRequests
      ? 'too many Page Requests wait'
      : undefined;
  if (why !== undefined) {
    context.emit(endpoint.config.name, { type: 'request.withheld', ...about, request: 'page', iova, why });
    return;
  }
  const prgIndex = stimulus.prgIndex % GROUPS;
  const tagged = substreamId !== undefined;
  const [R, W] = [
    access === 'read' || access === 'read-write',
    access === 'write' || access === 'read-write',
  ];
  const [X, Priv] = [tagged && stimulus.exec === true, tagged && stimulus.privileged === true];
  const words = encode(PRI_ENTRY, {
    StreamID: endpoint.config.streamId,
    SubstreamID: substreamId ?? 0,
    SSV: tagged,
    Priv,
    X,
    R,
    W,
    Last: last,
    PRGIndex: prgIndex,
    PageAddr: Number(iova - (iova & 0xfffn)),
  });
  const wants = `${R ? 'r' : ''}${W ? 'w' : ''}${X ? 'x' : ''}${Priv ? 'p' : ''}`;
  context.emit(endpoint.config.name, {
    type: 'page.requested',
    ...about,
    iova,
    prgIndex,
    wants,
    last,
    words: new Uint8Array(words.buffer),
  });
};
