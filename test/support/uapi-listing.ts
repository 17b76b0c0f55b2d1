/** The listings of the kernel's headers that tables of the uAPI are held against, as one. */
import iommufd from '../data/iommufd-layout.json' with { type: 'json' };
import irqs from '../data/vfio-irqs-layout.json' with { type: 'json' };

const FIRST_OF_VFIO = 'VFIO_DEVICE_BIND_IOMMUFD';
const at = iommufd.ioctls.findIndex(({ name }) => name === FIRST_OF_VFIO);
const sizes = Object.fromEntries(irqs.ioctls.map(({ name, size, minSize }) => [name, { size, minSize }]));

export const listing = {
  ...iommufd,
  ioctls: [...iommufd.ioctls.slice(0, at), ...irqs.ioctls, ...iommufd.ioctls.slice(at)],
  enums: { ...iommufd.enums, ...irqs.enums },
  /** What each release has: the device's file came with the first call of its own. */
  profiles: iommufd.profiles.map(({ version, ioctls }) => ({
    version,
    ioctls: Object.hasOwn(ioctls, FIRST_OF_VFIO) ? { ...ioctls, ...sizes } : ioctls,
  })),
};
