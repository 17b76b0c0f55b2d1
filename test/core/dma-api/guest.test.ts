/** The same lines for the operating system of a VM: its own IOVAs, its own memory, commands that leave by exits. */
import { describe, expect, it } from 'vitest';
import { story } from '../../support/dma-api.ts';
import { type Host, host } from '../../support/kernel.ts';
import { of } from '../../support/smmu-driver.ts';

function guest(strategy: object = {}, boot: object = {}): Host {
  const made = host(
    {},
    {
      ram: [{ base: '0x0', size: '0x40000000' }],
      smmus: [{ name: 'smmu0', profile: 'everything' }],
      endpoints: [{ name: 'nvme0', streamId: 16 }],
    },
  );
  made.line({ op: 'vm.create', vm: 'vm0', cpus: 2, ...strategy });
  made.line({ op: 'vm.plug', vm: 'vm0', endpoint: 'nvme0' });
  expect(made.line({ op: 'guest.boot', vm: 'vm0', ...boot })).toEqual({});
  made.look();
  return made;
}
const map = (on: Host, more: object = {}) =>
  on.line({ op: 'guest.map', vm: 'vm0', endpoint: 'nvme0', bytes: 4096, ...more });
const dma = (on: Host, iova: unknown) =>
  on.line({
    op: 'guest.dma',
    vm: 'vm0',
    endpoint: 'nvme0',
    iova,
    bytes: 8,
    access: 'write',
    hex: '0011223344556677',
  });

describe('a guest', () => {
  it('maps memory of its own, and unmaps it on another vCPU', () => {
    const on = guest();
    const { iova, pa } = map(on) as { iova: string; pa: string };
    expect(iova).toBe('0xfffff000');
    expect(dma(on, iova)).toMatchObject({ result: 'ok' });
    expect(on.line({ op: 'mem.read', vm: 'vm0', gpa: pa, bytes: 8 })).toEqual({ hex: '0011223344556677' });
    on.look();
    expect(on.line({ op: 'guest.unmap', vm: 'vm0', endpoint: 'nvme0', cpu: 1, iova, bytes: 4096 })).toEqual(
      {},
    );
    const exits = of(on.look(), 'exit.taken');
    expect(exits.length).toBeGreaterThan(0);
    expect(new Set(exits.map(({ unit }) => unit))).toEqual(new Set(['vm0.cpu1']));
    expect(dma(on, iova)).toMatchObject({ result: 'abort' });
  });

  it('is lazy when it is told so, and has a timer of its own', () => {
    const on = guest({}, { driver: { defaultDomain: 'dma-fq' } });
    const { iova } = map(on);
    dma(on, iova);
    on.look();
    on.line({ op: 'guest.unmap', vm: 'vm0', endpoint: 'nvme0', iova, bytes: 4096 });
    expect(of(on.look(), 'exit.taken')).toEqual([]);
    expect(dma(on, iova)).toMatchObject({ result: 'ok' });
    on.line({ op: 'turn', unit: 'vm0.smmu.fq-timer' });
    on.line({ op: 'run' });
    expect(story(on.look(), 'fq.flushed', 'iova.freed')).toContain('fq.flushed iova.freed');
    expect(dma(on, iova)).toMatchObject({ result: 'abort' });
  });

  it('of linux-6.1 attaches as that does', () => {
    const made = guest({}, { driver: { release: 'linux-6.1' } });
    expect(made.state.drivers['vm0.smmu']!.setup.release).toBe('linux-6.1');
    expect(map(made)).toMatchObject({ iova: '0xfffff000' });
  });

  it('probes an endpoint when its driver comes, and turns its SMMU off when it goes down', () => {
    const on = guest({}, { driver: { lateProbe: true } });
    expect(on.state.drivers['vm0.smmu']!.masters).toEqual({});
    expect(on.line({ op: 'guest.probe', vm: 'vm0', endpoint: 'nvme0' })).toEqual({});
    expect(map(on)).toMatchObject({ iova: '0xfffff000' });
    expect(on.line({ op: 'guest.shutdown', vm: 'vm0' })).toEqual({});
    expect(on.state.smmus['vm0.smmu']!.regs['CR0']).toBe(0);
    expect(() => on.line({ op: 'guest.map', vm: 'vm1', endpoint: 'nvme0', bytes: 1 })).toThrow(/vm1/);
    expect(() => on.line({ op: 'guest.map', vm: 'vm0', endpoint: 'nic9', bytes: 1 })).toThrow(/nic9/);
  });
});

describe('the host', () => {
  it('has late endpoints too', () => {
    const made = host(
      { driver: { lateProbe: true } },
      { smmus: [{ name: 'smmu0', profile: 'qemu-7.2' }], endpoints: [{ name: 'nvme0', streamId: 16 }] },
    );
    expect(() => made.line({ op: 'guest.map', endpoint: 'nvme0', bytes: 1 })).toThrow(/nvme0/);
    expect(made.line({ op: 'guest.probe', endpoint: 'nvme0' })).toEqual({});
    expect(made.line({ op: 'guest.map', endpoint: 'nvme0', bytes: 1 })).toMatchObject({ iova: '0xfffff000' });
    expect(made.line({ op: 'guest.shutdown' })).toEqual({});
  });

  it('is told what is wrong with a scatter list', () => {
    const made = host({}, { endpoints: [{ name: 'nvme0', streamId: 16 }] });
    const sg = (...pieces: object[]) => ({ op: 'guest.map', endpoint: 'nvme0', bytes: 0x2000, sg: pieces });
    const page = { pa: '0x10000', bytes: 0x1000 };
    expect(() => made.line(sg(page))).toThrow(/expected 4096, the sum of sg, found 8192/);
    expect(() => made.line(sg(page, { pa: '0x10010', bytes: 0x1000 }))).toThrow(
      /sg\[1\]: expected whole pages/,
    );
    expect(() => made.line({ ...sg(page, page), pa: '0x1000' })).toThrow(/expected pa or sg/);
    expect(made.line(sg(page, { pa: '0x30000', bytes: 0x1000 }))).toMatchObject({ iova: '0xffffe000' });
  });
});
