/** Which physical StreamID a virtual one of a guest means: the tables that kernels have had for it. */
import type { State } from '../../state.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import type { SwitchValues } from '../switches.ts';
import { hardwareAt } from './device.ts';
import { objectsOf } from './object.ts';
import type { Viommu } from './state.ts';

/** Physical StreamIDs by virtual ones, in decimal. */
export type Streams = Readonly<Record<string, number>>;

type Tables = Readonly<
  Record<SwitchValues['vsidTable'], (state: State, smmu: string, viommu?: Viommu) => Streams>
>;

/** What the kernel knows of the streams behind an SMMU; `viommu`: whose commands they are in, if anybody's. */
export function streamsFor(state: State, smmu: string, viommu?: Viommu): Streams {
  return tables[switchOf(kernelOf(state), 'vsidTable')](state, smmu, viommu);
}

const tables: Tables = {
  none: () => ({}),
  vdevice: streamsOfViommu,
  'vdev-id': streamsOfViommu,
  'dev-data': userStreams,
};

function streamsOfViommu({ drivers }: State, smmu: string, viommu?: Viommu): Streams {
  const masters = drivers[smmu]?.masters;
  const streams: Record<string, number> = {};
  for (const [virtId, { endpoint }] of Object.entries(viommu?.vdevices ?? {})) {
    const stream = masters?.[endpoint]?.streams[0];
    if (stream !== undefined) streams[virtId] = stream;
  }
  return streams;
}

/** Those set for devices behind an SMMU, whoever owns them: one table for all VMs. */
export function userStreams(state: State, smmu: string): Streams {
  const streams: Record<string, number> = {};
  for (const context of Object.values(kernelOf(state).contexts)) {
    for (const device of objectsOf(context, 'device')) {
      const { smmu: of, master } = hardwareAt(state, device);
      const stream = master.streams[0];
      if (of === smmu && device.userSid !== undefined && stream !== undefined)
        streams[String(device.userSid)] = stream;
    }
  }
  return streams;
}
