/** The configuration space of a virtio-iommu (virtio 1.3, 5.13.4): what its driver reads. */
import type { Values } from '../kernel/uapi/struct.ts';
import type { IommuDevice } from './state.ts';
import type { CONFIG } from './structs.ts';

/** Its fields; those of features that the device does not offer are 0. */
export function configOf({ config, offered, bypass }: IommuDevice): Partial<Values<typeof CONFIG>> {
  const { pageSizeMask, inputRange, domainRange, probeSize } = config;
  return {
    page_size_mask: pageSizeMask,
    ...(offered.includes('INPUT_RANGE')
      ? { input_range_start: inputRange.start, input_range_end: inputRange.last }
      : {}),
    ...(offered.includes('DOMAIN_RANGE')
      ? { domain_range_start: domainRange.start, domain_range_end: domainRange.last }
      : {}),
    ...(offered.includes('PROBE') ? { probe_size: probeSize } : {}),
    ...(offered.includes('BYPASS_CONFIG') ? { bypass: bypass ? 1 : 0 } : {}),
  };
}
