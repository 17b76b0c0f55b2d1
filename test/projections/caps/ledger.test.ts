/** The ledger of a VM: each cell with the entry that set it, and the verdicts, each with a twin that is clean. */
import { describe, expect, it } from 'vitest';
import { changesOf } from '../../../projections/caps/changes.ts';
import { fieldNames } from '../../../projections/caps/fields.ts';
import { judge } from '../../../projections/caps/verdict.ts';
import { tell } from './story.ts';

const BTM = 1 << 5;
const ASID16 = 1 << 12;
const HAD = 1 << 2;
/** As the profile `qemu-accel` has it. */
const QEMU_IDR0 = 0x0d44101a;
/** As the profile `everything` has them. */
const HOST_IDR0 = 0x08df_f6bb;
const HOST_IDR3 = 0x7714;

describe('the ledger of a VM before QEMU with accel', () => {
  const told = tell();
  const entryAt = (seq: number | undefined) => told.entries.find((entry) => entry.seq === seq);

  it('has a row for each field', () => {
    expect(told.rows.map(({ field }) => field)).toEqual(fieldNames);
  });

  it.each([
    ['hardware', 'register.read', 1],
    ['driver', 'driver.probed', 'rangeInv'],
    ['report', 'hwinfo.reported', 1],
    ['guest', 'smmu.made', 1],
    ['enabled', 'driver.probed', 'rangeInv'],
  ] as const)('IDR3.RIL: %s was set by %s', (column, type, value) => {
    const cell = told.row('IDR3.RIL').cells[column];
    expect(cell?.value).toBe(value);
    expect(entryAt(cell?.seq)?.type).toBe(type);
  });

  it.each([
    ['IDR0.BTM', 'mask', 1, 'ok'],
    ['IDR0.HTTU', 'mask', 1, 'ok'],
    ['IDR3.RIL', 'require', 4, 'ok'],
    ['IDR5.OAS', 'require', 4, 'lost'],
    ['IDR0.ATS', 'mask', 1, 'ok'],
    ['IDR1.SSIDSIZE', 'mask', 4, 'lost'],
    ['IDR1.CMDQS', 'emulate', 5, 'ok'],
    ['IDR3.HAD', 'emulate', 4, 'unused'],
    ['IDR0.ASID16', 'emulate', 4, 'ok'],
    ['hw_info.DIRTY_TRACKING', undefined, 1, 'ok'],
    ['platform.coherent', undefined, 2, 'ok'],
  ] as const)('%s: %s in step %s is %s', (field, decision, step, verdict) => {
    expect(told.row(field)).toMatchObject({ decision, step });
    expect(told.verdict(field).verdict).toBe(verdict);
  });

  it('has no leak and no mismatch', () => {
    const bad = told.rows.filter((row) => ['leak', 'mismatch', 'unknown'].includes(judge(row).verdict));
    expect(bad.map(({ field }) => field)).toEqual([]);
  });
});

describe('verdicts', () => {
  it.each([
    ['BTM, which no kernel serves', 'IDR0.BTM', { vm: { idr: { IDR0: QEMU_IDR0 | BTM } } }, 'leak'],
    ['BTM masked', 'IDR0.BTM', {}, 'ok'],
    ['16-bit ASIDs on a host with 8', 'IDR0.ASID16', { idr: { IDR0: HOST_IDR0 & ~ASID16 } }, 'leak'],
    ['HAD on a host without', 'IDR3.HAD', { idr: { IDR3: HOST_IDR3 & ~HAD } }, 'leak'],
    ['a larger OAS than the host has', 'IDR5.OAS', { vm: { properties: { oas: 52 } } }, 'refused'],
    ['the OAS of the host', 'IDR5.OAS', { vm: { properties: { oas: 'auto' } } }, 'ok'],
    ['RIL withheld by a property', 'IDR3.RIL', { vm: { properties: { ril: false } } }, 'lost'],
    ['ATS that the device cannot do', 'IDR0.ATS', { vm: { properties: { ats: true } } }, 'leak'],
  ] as const)('%s: %s', (_, field, story, verdict) => {
    expect(tell(story).verdict(field).verdict).toBe(verdict);
  });

  it.each(['qemu', 'tlbi-on-map', 'openvmm', 'cloud-hypervisor', 'sw-vcmdq'] as const)(
    '%s offers nothing that is not backed',
    (profile) => {
      const { rows } = tell({ profile });
      const bad = rows.filter((row) => ['leak', 'mismatch', 'refused'].includes(judge(row).verdict));
      expect(bad.map(({ field }) => field)).toEqual([]);
    },
  );

  it('a VMM that shadows the tables serves 16-bit ASIDs itself, whatever the host has', () => {
    const told = tell({ profile: 'tlbi-on-map', idr: { IDR0: HOST_IDR0 & ~ASID16 } });
    expect(told.verdict('IDR0.ASID16').verdict).toBe('ok');
  });

  it('a Cloud Hypervisor forwards ASID16 of the host, so that it is no leak there', () => {
    const told = tell({ profile: 'cloud-hypervisor', idr: { IDR0: HOST_IDR0 & ~ASID16 } });
    expect(told.row('IDR0.ASID16')).toMatchObject({ decision: 'forward', cells: { guest: { value: 0 } } });
    expect(told.verdict('IDR0.ASID16').verdict).toBe('ok');
  });

  it('a guest that trusts a broadcast which the host does not hear: the leak has its proof', () => {
    const told = tell({
      vm: { idr: { IDR0: QEMU_IDR0 | BTM }, vmid: 7 },
      after: [{ type: 'cpu.tlbi', operation: 'VMALLE1', vmid: 7 }],
    });
    const at = told.entries.find(({ type }) => type === 'broadcast.received')?.seq;
    expect(told.verdict('IDR0.BTM')).toMatchObject({ verdict: 'leak', seq: at });
    expect(told.row('IDR0.BTM').cells.used?.value).toBe('failed: smmu0: CR2.PTM=1');
  });

  it('a device plugged later meets values that are frozen', () => {
    const told = tell({ vm: { properties: { oas: 'auto' } } });
    expect(told.row('IDR5.OAS').decision).toBe('forward');
    const late = tell({
      vm: { properties: { oas: 'auto' } },
      after: [
        { type: 'vm.unplug', vm: 'vm0', endpoint: 'nvme0' },
        { type: 'vm.plug', vm: 'vm0', endpoint: 'nvme0', device: { streamId: 8 } },
      ],
    });
    expect(late.row('IDR5.OAS').decision).toBe('freeze');
  });
});

describe('the changes of a field', () => {
  it('come in the order of the log, each with the entry that it follows from', () => {
    const told = tell();
    const changes = [...changesOf(told.machine, told.entries, 'IDR3.RIL')];
    expect(changes.map(({ column, after, type }) => `${type} ${column} ${after}`)).toEqual([
      // The host's own driver, before there is a VM.
      'driver.probed enabled rangeInv',
      'smmu.made decision emulate',
      'smmu.made guest 1',
      'device.plugged hardware 1',
      'device.plugged driver rangeInv',
      'device.plugged decision require',
      'hwinfo.reported report 1',
      'driver.probed enabled rangeInv',
    ]);
    for (const { seq, cause } of changes) expect(cause).toBeLessThan(seq);
  });
});
