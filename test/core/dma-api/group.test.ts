/**
 * The mutex of a device's group: its default domain is changed by one at a time, not under a call, and nobody maps
 * before it is there. Sources: linux, iommu_probe_device, iommu_group_store_type, iommu_device_use_default_domain.
 */
import { describe, expect, it } from 'vitest';
import { type DmaHost, dmaHost, PAGE } from '../../support/dma-api.ts';
import { of } from '../../support/smmu-driver.ts';

function manual(): { readonly host: DmaHost; turn(unit: string, count?: number): void } {
  const host = dmaHost({ machine: { schedule: 'manual' } });
  const turn = (unit: string, count = 1): void => {
    for (let at = 0; at < count; at += 1) host.line({ op: 'turn', unit });
  };
  return { host, turn };
}

const attach = (host: DmaHost, to: string, cpu: number): unknown =>
  host.line({ op: 'guest.attach', endpoint: 'nvme0', to, cpu });

const answers = (host: DmaHost): readonly (string | undefined)[] =>
  of(host.look(), 'guest.answered').map(({ errno }) => errno);

describe('the group of a device', () => {
  it('has one change of its default domain at a time', () => {
    const { host, turn } = manual();
    attach(host, 'blocked', 0);
    attach(host, 'identity', 1);
    turn('host.cpu0');
    host.look();
    turn('host.cpu1', 3);
    expect(of(host.look(), 'turn.passed')).toHaveLength(3);
    host.line({ op: 'run' });
    expect(answers(host)).toEqual([undefined, undefined]);
    expect(host.state.drivers['smmu0']?.masters['nvme0']?.attached[0]).toBe('identity');
    expect(host.state.tasks).toEqual([]);
  });

  it('makes a map wait for the change that is under way', () => {
    const { host, turn } = manual();
    attach(host, 'identity', 0);
    turn('host.cpu0');
    host.map({ cpu: 1 });
    turn('host.cpu1', 2);
    expect(of(host.look(), 'dma.mapped')).toEqual([]);
    host.line({ op: 'run' });
    // It finds the domain that the change left: addresses are physical.
    const [mapped] = of(host.look(), 'dma.mapped');
    expect(mapped?.domain).toBeUndefined();
    expect(mapped?.iova).toBe(BigInt(mapped?.pa ?? 0));
  });

  it.each(['map', 'unmap'])('refuses a change during a call to %s', (what) => {
    const { host, turn } = manual();
    host.map({ cpu: 0 });
    if (what === 'unmap') {
      host.line({ op: 'run' });
      const iova = of(host.look(), 'dma.mapped')[0]?.iova ?? 0n;
      host.unmap(`0x${iova.toString(16)}`, PAGE, { cpu: 0 });
    }
    // The IOVA is taken and nothing is in force yet; or nothing is any more, and the invalidation is still to come.
    turn('host.cpu0');
    const { dma } = host.state.drivers['smmu0'] ?? {};
    expect(Object.values(dma ?? {}).map(({ maps }) => maps.size)).toEqual([0]);
    attach(host, 'identity', 1);
    turn('host.cpu1');
    host.line({ op: 'run' });
    expect(answers(host)).toEqual(['EBUSY']);
    if (what === 'map') return;
    attach(host, 'identity', 1);
    host.line({ op: 'run' });
    expect(answers(host)).toEqual([undefined]);
  });
});
