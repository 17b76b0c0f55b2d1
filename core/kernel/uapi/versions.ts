/** Releases of Linux that have an iommufd, in order. */

export const versions = [
  ...(['6.2', '6.3', '6.4', '6.5', '6.6', '6.7', '6.8', '6.9', '6.10', '6.11', '6.12', '6.13'] as const),
  ...(['6.14', '6.15', '6.16', '6.17', '6.18', '6.19', '7.0', '7.1', '7.2', '7.3'] as const),
] as const;

export type Version = (typeof versions)[number];

/** Whether `version` is `since` or newer. */
export function atLeast(version: Version, since: Version): boolean {
  return versions.indexOf(version) >= versions.indexOf(since);
}
