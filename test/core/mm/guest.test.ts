/** The same in a guest, and the lines that ask for it. */
import { describe, expect, it } from 'vitest';
import { lineOf } from '../../../adapters/scenario/stimulus-line.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import type { Host } from '../../support/kernel.ts';
import { of } from '../../support/smmu-driver.ts';
import { bind, booted, map, VA } from '../../support/sva.ts';

describe('a guest', () => {
  const guest = (boot: object = {}, more: object = {}): Host => {
    const on = booted();
    on.line({
      op: 'vm.create',
      vm: 'vm0',
      profile: 'qemu-accel',
      properties: { ssidsize: 4, ats: true },
      ...more,
    });
    on.line({ op: 'vm.plug', vm: 'vm0', endpoint: 'acc0', ssidBits: 4, ats: true });
    on.line({ op: 'guest.boot', vm: 'vm0', ...boot });
    on.look();
    return on;
  };
  const vm = 'vm0';

  it('has its tables in its own memory, and its commands reach the hardware', () => {
    const on = guest();
    const { pa } = map(on, { vm });
    expect(bind(on, { vm })).toEqual({ ssid: 1 });
    on.line({ op: 'mem.write', vm, gpa: pa, hex: '0102030405060708' });
    const read = { op: 'guest.dma', vm, endpoint: 'acc0', ssid: 1, iova: VA, bytes: 8, access: 'read' };
    expect(on.line(read)).toMatchObject({ result: 'ok', hex: '0102030405060708' });
    on.look();
    on.line({ op: 'mm.unmap', vm, mm: 'app', va: VA, bytes: 4096 });
    const entries = on.look();
    const real = of(entries, 'command.consumed').filter(({ smmu }) => smmu === 'smmu0');
    expect(real.map(({ command }) => command)).toEqual([
      'CMD_TLBI_NH_VA',
      'CMD_SYNC',
      'CMD_ATC_INV',
      'CMD_SYNC',
    ]);
    expect(of(entries, 'page.freed')).toHaveLength(1);
    expect(on.line(read)).toMatchObject({ result: 'abort', event: 'F_TRANSLATION' });
  });

  it('has none where its CPUs count on what the emulated SMMU lacks, and takes its processes with it', () => {
    const on = guest({ platform: { bbml2: true } }, { idr: { IDR3: '0x404' } });
    map(on, { vm });
    expect(bind(on, { vm })).toEqual({ errno: 'EOPNOTSUPP' });
    expect(Object.keys(on.state.mms ?? {})).toEqual(['vm0:app']);
    on.line({ op: 'vm.end', vm });
    expect(on.state.mms).toEqual({});
  });
});

describe('each line', () => {
  it('comes back from its stimulus', () => {
    const on = booted();
    const lines = [
      { op: 'mm.map', mm: 'app', va: VA, bytes: 8192, access: 'read' },
      { op: 'sva.bind', endpoint: 'acc0', mm: 'app', ssid: 3 },
      { op: 'mm.protect', mm: 'app', va: VA, bytes: 4096, access: 'read-write' },
      { op: 'mm.unmap', mm: 'app', va: VA, bytes: 4096 },
      { op: 'mm.exit', mm: 'app' },
      { op: 'sva.unbind', endpoint: 'acc0', mm: 'app' },
    ];
    for (const line of lines) on.line(line);
    const types = new Set(lines.map(({ op }) => op));
    const asked = on.look().filter(({ type }) => types.has(type)) as unknown as readonly Stimulus[];
    const back = asked.map((stimulus) => lineOf(stimulus, on.state)).map(({ line: _, ...rest }) => rest);
    expect(back).toEqual(lines);
  });

  it.each([
    [{ op: 'mm.map', mm: 'app', va: VA, bytes: 4096, vm: 'vm9' }, /vm: expected/],
    [{ op: 'sva.bind', mm: 'app', endpoint: 'acc9' }, /endpoint: expected .*acc0/],
    [{ op: 'mm.protect', mm: 'app', va: VA, bytes: 4096 }, /access/],
  ])('says what is wrong with it', (line, message) => {
    expect(() => booted().line(line)).toThrow(message);
  });
});
