/** The machine of a capture: one SMMU of the emulator's kind, the endpoints and memory that the survey found. */
import type { EndpointConfig, MachineConfig, Schedule } from '../../core/config.ts';
import { smmuConfig } from '../../core/smmu/profiles.ts';
import type { Survey } from './survey.ts';

export const SMMU = 'smmu0';

/** @param schedule `eager` to re-enact; `manual` where the trace alone says what happens. */
export function machineOf(survey: Survey, schedule: Schedule): MachineConfig {
  return {
    ram: survey.ram,
    smmus: [
      smmuConfig('qemu-7.2', {
        name: SMMU,
        base: survey.smmuBase,
        // 7.2 says architecture 3.1 in AIDR, and caches no leaf that refused its access.
        idr: { AIDR: 1, ...survey.idr },
        choices: { cacheRefusedLeaf: false },
      }),
    ],
    endpoints: endpointsOf(survey.streams),
    schedule,
    seed: 0,
  };
}

function endpointsOf(streams: Survey['streams']): readonly EndpointConfig[] {
  const names = [...streams.values()];
  return [...streams].map(([streamId, device]) => {
    const sid = `0x${streamId.toString(16)}`;
    const alone = names.filter((each) => each === device).length === 1;
    const name = device === undefined ? `dev${sid}` : alone ? device : `${device}-${sid}`;
    return { name, smmu: SMMU, streamId, ats: false, pri: false, ssidBits: 0, atc: 0 };
  });
}
