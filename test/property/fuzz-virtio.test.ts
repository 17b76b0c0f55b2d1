/**
 * A million requests of random bytes, half of them near to real ones: a device never throws, answers a status
 * or used length 0, writes no more than there is room for, and stays consistent with itself.
 */
import { describe, expect, it } from 'vitest';
import { draw, nextRandom } from '../../core/random.ts';
import { decodeRequest, showAnswer, showRequest, statusOf } from '../../core/virtio-iommu/codec.ts';
import { evolveDevice } from '../../core/virtio-iommu/evolve.ts';
import type { DeviceProfile } from '../../core/virtio-iommu/profiles.ts';
import { resetDevice } from '../../core/virtio-iommu/space.ts';
import type { IommuDevice } from '../../core/virtio-iommu/state.ts';
import { names } from '../../core/virtio-iommu/structs.ts';
import { deviceOf, serveRequest } from '../support/virtio.ts';

const REQUESTS = 1_000_000;
const SEED = 20261121;
/** Lengths and rooms that break a device are rare: after a reset there is nothing that could go wrong. */
const RARE = 40;
const lengths = { odd: [0, 1, 3, 4, 8, 19, 27, 35, 71, 73], right: [20, 28, 36, 72, 80] };
const rooms = { odd: [0, 1, 3, 8, 100, 515], right: [516, 516, 600] };

/** Random bytes of a random length; every other one with a type and small numbers where domain and endpoint stand. */
function requests(seed: number) {
  let state = seed;
  const roll = (count: number): number => {
    state = nextRandom(state);
    return draw(state, count);
  };
  const pick = ({ odd, right }: typeof lengths): number => {
    const list = roll(RARE) === 0 ? odd : right;
    return list[roll(list.length)]!;
  };
  return {
    roll,
    pick,
    next(): Uint8Array {
      const bytes = new Uint8Array(pick(lengths));
      const near = roll(4) > 0;
      if (!near) for (let at = 0; at < bytes.length; at += 1) bytes[at] = roll(256);
      else {
        bytes[0] = roll(7);
        if (bytes.length > 8) {
          bytes[4] = bytes[0] === 5 ? roll(12) : roll(4);
          bytes[8] = bytes[0] < 3 ? roll(12) : 0;
          bytes[12] = bytes[0] === 1 ? roll(3) : 0;
        }
        if (bytes.length > 27 && bytes[0] > 2) {
          const first = roll(64);
          bytes[9] = first << 4;
          bytes[16] = bytes[24] = 0xff;
          bytes[17] = ((first + roll(4)) << 4) | 0xf;
          bytes[24] = 0;
          if (bytes.length > 32) bytes[32] = roll(8);
        }
      }
      return bytes;
    },
  };
}

/** Endpoints and domains name each other, and no domain is empty. */
function isConsistent({ endpoints, domains }: IommuDevice): boolean {
  const inDomains = Object.entries(domains).flatMap(([id, domain]) =>
    domain.endpoints.map((endpoint) => endpoints[endpoint]?.domain === Number(id)),
  );
  const attached = Object.values(endpoints).filter(({ domain }) => domain !== undefined).length;
  return (
    inDomains.every(Boolean) &&
    inDomains.length === attached &&
    Object.values(domains).every((domain) => domain.endpoints.length > 0)
  );
}

describe.each(['virtio-1.3', 'qemu-9.2'] satisfies DeviceProfile[])('%s', (profile) => {
  it(`answers ${REQUESTS / 2} random requests`, () => {
    const device = deviceOf({ profile });
    const { next, roll, pick } = requests(SEED);
    const met = new Map<string, number>();
    for (let count = 0; count < REQUESTS / 2; count += 1) {
      const bytes = next();
      const room = pick(rooms);
      const { written, status, changes } = serveRequest(device, bytes, room);
      if (written.length > room) throw new Error(`${showRequest(bytes)}: ${written.length} into ${room}`);
      if (written.length > 0 && (status === undefined || statusOf(written) !== status)) {
        throw new Error(`${showRequest(bytes)}: ${showAnswer(written)}, not ${status}`);
      }
      const name = `${decodeRequest(bytes)?.name ?? 'none'} ${status ?? 'used length 0'}`;
      met.set(name, (met.get(name) ?? 0) + 1);
      if (changes.some((change) => change.do === 'break') || roll(5000) === 0) {
        evolveDevice(device, resetDevice(device, false).changes);
      }
      if (count % 1000 === 0 && !isConsistent(device)) throw new Error(`inconsistent after ${count}`);
    }
    for (const name of Object.keys(names.type.members))
      expect(met.get(`${name} OK`) ?? 0).toBeGreaterThan(100);
    for (const status of ['INVAL', 'NOENT']) expect(met.get(`MAP ${status}`) ?? 0).toBeGreaterThan(100);
    expect(met.get('UNMAP RANGE') ?? 0).toBeGreaterThan(100);
  }, 240_000);
});
