/** The three recorded runs are re-enacted: every outcome equals the trace's, but for the emulator's known habits. */
import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../../projections/check.ts';
import { captures, captureText, importFile, importText } from '../../support/import-trace.ts';

const zero = { translation: 0, fault: 0, command: 0, register: 0, eventRecord: 0 };

describe('the recorded runs', () => {
  it('re-enacts the clean run: 220 commands, 699 translations, no fault', async () => {
    const { result, machine } = await importFile(captures.clean);
    expect(result).toMatchObject({ lines: 6071, unknown: 0, broken: 0, differences: zero, deviations: {} });
    expect(result.compared).toEqual({
      translation: 699,
      fault: 0,
      command: 220,
      register: 124,
      eventRecord: 0,
    });
    expect(machine.endpoints.map(({ name, streamId }) => `${name} ${streamId}`)).toEqual([
      'bridge 0',
      'virtio 16',
      'nvme 24',
    ]);
    expect(machine.ram).toContainEqual({ base: 0x4000_0000, size: 0x2000_0000 });
  });

  it('re-enacts the stale use: both writes after the unmap are hits that land in page A', async () => {
    const { result, entries } = await importFile(captures.stale);
    expect(result).toMatchObject({ lines: 570, unknown: 0, differences: zero });
    expect(result.compared).toEqual({ translation: 4, fault: 2, command: 17, register: 24, eventRecord: 2 });
    expect(result.deviations).toEqual({
      'fault-class-zero': 2,
      'fault-pieces': 1,
      'evtq-irq-every-record': 1,
    });
    const used = entries.flatMap((entry) =>
      entry.type === 'access.completed'
        ? [`${entry.access} ${entry.size} ${entry.via} ${entry.pa.toString(16)}`]
        : [],
    );
    expect(used).toEqual([
      'read 2048 walk 48111000',
      'write 64 walk 48174000',
      'write 64 hit 48174000',
      'write 64 hit 48174000',
    ]);
    expect(entries.some((entry) => entry.type === 'dma' && entry.assumed !== undefined)).toBe(false);
  });

  it('re-enacts the faults: 10 event records, byte for byte but CLASS', async () => {
    const { result, entries } = await importFile(captures.faults);
    expect(result).toMatchObject({ lines: 673, unknown: 0, differences: zero });
    expect(result.compared).toEqual({
      translation: 2,
      fault: 10,
      command: 15,
      register: 31,
      eventRecord: 10,
    });
    expect(result.deviations).toEqual({
      'fault-class-zero': 10,
      'fault-pieces': 5,
      'evtq-irq-every-record': 5,
    });
    const written = entries.filter((entry) => entry.type === 'record.written').map((entry) => entry.record);
    expect(written.filter((record) => record === 'F_PERMISSION')).toHaveLength(2);
    expect(written.filter((record) => record === 'F_TRANSLATION')).toHaveLength(8);
  });

  it('says of each stimulus where it came from', async () => {
    const { entries } = await importFile(captures.clean);
    const store = entries.find((entry) => entry.type === 'mem.write' && entry.pc === 0xffff_8000_088a_4700n);
    expect(store).toMatchObject({ actor: 'cpu0', cpu: 0, pa: 0x4308_a000, line: expect.any(Number) });
    const unknown = entries.find((entry) => entry.type === 'dma');
    expect(unknown).toMatchObject({ actor: 'virtio', size: 1, assumed: expect.stringContaining('size') });
  });

  it('puts the content of a page before the store by which it is reached', async () => {
    const { entries } = await importFile(captures.clean);
    const stores = entries.filter((entry) => entry.type === 'mem.write');
    const page = stores.findIndex((entry) => entry.pa === 0x5b66_0000 && entry.bytes.length > 8);
    const pointer = stores.findIndex((entry) => entry.pa === 0x4308_a000);
    expect(page).toBeGreaterThanOrEqual(0);
    expect(page).toBeLessThan(pointer);
  });

  it('gives the same entries each time', async () => {
    const [first, second] = [await importFile(captures.faults), await importFile(captures.faults)];
    expect(second.entries).toEqual(first.entries);
  });

  it('blames the store to an STE, not the level 1 descriptor that came before it was read', async () => {
    const from = '@@STEP BUG dma write iova=0xfffff000, mapped to B now\n';
    const store =
      '32369@1795237859.970999:cap_store pa=0x5b660800 size=8 val=0x1 kind=st old=0x4811700b cpu=0 pc=0x77 ic=1\n';
    const text = captureText('stale').replace(from, from + store);
    const { result, entries, machine } = await importText(text);
    expect(result.examples).toEqual([]);
    const finding = checkHistory(entries, machine, 'main').find(({ title }) => title.includes('ste'));
    expect(finding).toMatchObject({
      blame: { pc: '0x77' },
      missing: { needed: expect.stringContaining('CMD_CFGI_STE StreamID=0x20 Leaf=1') },
    });
  });
});
