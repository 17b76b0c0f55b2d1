/** Request codes of ioctls and their names, in the kernel of a profile. */
import { present } from '../assert.ts';
import { callsIn, defaultKernelProfile, kernelProfiles, type ProfileName } from './profiles.ts';
import { structs } from './uapi/data-structs.ts';
import { type ContainerIoctlName, type ContainerRow, containerIoctls, ioctlCode } from './uapi/ioctls.ts';
import type { Struct } from './uapi/struct.ts';

/** What is known of a request. */
export interface Request {
  readonly name: string;
  readonly code: number;
  /** What its argument points to, if anything. */
  readonly struct?: Struct;
  /** Bytes of the struct in that kernel. */
  readonly bytes: number;
}

const requests = new Map(
  (Object.keys(kernelProfiles) as ProfileName[]).map((profile) => [profile, requestsIn(profile)] as const),
);

/** The first of each code, by kernel. */
const byCode = new Map(
  [...requests].map(([profile, named]) => [
    profile,
    new Map([...named.values()].reverse().map((request) => [request.code, request] as const)),
  ]),
);

/** The request of that name in a kernel; in the newest that has it, where this kernel has none. */
export function findRequest(profile: ProfileName, name: string): Request | undefined {
  return requestsOf(profile).get(name) ?? newestRequest(name);
}

/** Names of all requests of all kernels. */
export function requestNames(): readonly string[] {
  return [...new Set([...requests.values()].flatMap((each) => [...each.keys()]))];
}

function newestRequest(name: string): Request | undefined {
  const found = requestsOf(defaultKernelProfile).get(name);
  if (found !== undefined) return found;
  for (const each of requests.values()) if (each.has(name)) return each.get(name);
  return undefined;
}

/** The requests of a kernel, by name: its ioctls and those of the VFIO container. */
export function requestsOf(profile: ProfileName): ReadonlyMap<string, Request> {
  return present(requests.get(profile), `requests of ${profile}`);
}

function requestsIn(profile: ProfileName): ReadonlyMap<string, Request> {
  const made = new Map<string, Request>();
  for (const [name, { code, struct, bytes }] of callsIn(profile))
    made.set(name, { name, code, struct, bytes });
  for (const name of Object.keys(containerIoctls) as ContainerIoctlName[]) {
    const row: ContainerRow = containerIoctls[name];
    const struct = row.struct && structs[row.struct];
    made.set(name, { name, code: ioctlCode(row.nr), ...(struct && { struct }), bytes: struct?.bytes ?? 0 });
  }
  return made;
}

/** The request of a code, the first that has it. */
export function requestOf(profile: ProfileName, code: number): Request | undefined {
  return byCode.get(profile)?.get(code);
}

/** The name of a code for people; `0x...` where it has none. */
export function requestName(profile: ProfileName, code: number): string {
  return requestOf(profile, code)?.name ?? `0x${code.toString(16)}`;
}
