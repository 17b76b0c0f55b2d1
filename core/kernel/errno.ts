/** Errnos that the calls of iommufd and VFIO give, with Linux's generic numbers (asm-generic/errno.h). */

// biome-ignore format: a table
export const errnos = {
  EPERM:        1,
  ENOENT:       2,
  EIO:          5,
  ENXIO:        6,
  E2BIG:        7,
  EBADF:        9,
  ENOMEM:      12,
  EACCES:      13,
  EFAULT:      14,
  EBUSY:       16,
  EEXIST:      17,
  ENODEV:      19,
  EINVAL:      22,
  ENOTTY:      25,
  ENOSPC:      28,
  ESPIPE:      29,
  ERANGE:      34,
  EDEADLK:     35,
  EOVERFLOW:   75,
  EBADFD:      77,
  EMSGSIZE:    90,
  EOPNOTSUPP:  95,
  EADDRINUSE:  98,
  ETIMEDOUT:  110,
} as const;

export type Errno = keyof typeof errnos;

/** An outcome that is an error: what a call returns is minus the errno's number. */
export interface Failed {
  readonly errno: Errno;
}

const byNumber = new Map(Object.entries(errnos).map(([name, number]) => [number as number, name as Errno]));

/** The name of an errno's number, 1 or more. */
export function errnoName(number: number): Errno | undefined {
  return byNumber.get(number);
}
