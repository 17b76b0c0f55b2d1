/**
 * The ID registers that guests see before each VMM and part: as the sources of the VMMs compose them, field by field
 * (QEMU smmuv3_init_id_regs and smmuv3_accel_idr_override; OpenVMM resolve_host_caps; Cloud Hypervisor
 * set_host_id_regs), and what QEMU refuses, with its reason. Fields that are not named are 0.
 */
import { describe, expect, it } from 'vitest';
import { begin, refusalIn, type Setup } from '../../../adapters/caps-run.ts';
import type { Register } from '../../../core/layout/register.ts';
import type { ProfileName } from '../../../core/smmu/profiles.ts';
import { registers } from '../../../core/smmu/registers.ts';
import type { VmmProfileName } from '../../../core/vmm/profiles.ts';

const IDS = ['IDR0', 'IDR1', 'IDR2', 'IDR3', 'IDR4', 'IDR5', 'IIDR', 'AIDR'] as const;

/** Fields other than 0 that the guest's driver would read, as `S1P=1 TTF=2`, by register. */
function shown(setup: Setup): Readonly<Record<string, string>> {
  const run = begin(setup);
  expect(refusalIn(run)).toBeUndefined();
  const made = run.entries.findLast((each) => each.type === 'smmu.made');
  const idr = made?.type === 'smmu.made' ? made.config.idr : {};
  const texts = IDS.map((name) => {
    const register: Register = registers.byName[name];
    const fields = Object.entries(register.fields).map(
      ([field, { read }]) => [field, read([idr[name] ?? 0])] as const,
    );
    const set = fields
      .filter(([, value]) => Number(value) !== 0)
      .map(([field, value]) => `${field}=${Number(value)}`);
    return [name, set.join(' ')] as const;
  });
  return Object.fromEntries(texts.filter(([, text]) => text !== ''));
}

const QEMU = {
  IDR0: 'S1P=1 TTF=2 COHACC=1 ASID16=1 VMID16=1 TTENDIAN=2 STALL_MODEL=1 TERM_MODEL=1 ST_LEVEL=1',
  IDR1: 'SIDSIZE=16 EVENTQS=19 CMDQS=19',
  IDR3: 'HAD=1 RIL=1 BBML=2',
  IDR5: 'OAS=4 GRAN4K=1 GRAN16K=1 GRAN64K=1',
  AIDR: 'ArchMinorRev=1',
} as const;

const OPENVMM = {
  IDR0: 'S1P=1 TTF=2 COHACC=1 ASID16=1 TTENDIAN=2 STALL_MODEL=1 TERM_MODEL=1',
  IDR1: 'SIDSIZE=16 EVENTQS=8 CMDQS=8',
  AIDR: 'ArchMinorRev=3',
} as const;

const CLOUD = 'S1P=1 TTF=2 COHACC=1 ASID16=1 VMID16=1';

const cloudHypervisor = (cd2l: string, ssid: string, idr5: string) => ({
  IDR0: `${CLOUD}${cd2l} TTENDIAN=2 STALL_MODEL=1 ST_LEVEL=1`,
  IDR1: `SIDSIZE=16${ssid} EVENTQS=19 CMDQS=19`,
  IDR5: idr5,
});

/** Parts of a revision whose errata leave nesting: MMU-600 r2, MMU-700 r1p1. */
const later = (hardware: ProfileName): Setup => ({ hardware, smmu: { idr: { IIDR: 0 } } });
const qemu = (hardware: ProfileName): Setup => ({ hardware });

const WIDE = 'OAS=5 GRAN4K=1 GRAN64K=1';

describe.each([
  ['everything', qemu('everything'), 'OAS=5 GRAN4K=1', cloudHypervisor(' CD2L=1', ' SSIDSIZE=20', WIDE)],
  ['qemu-9', qemu('qemu-9'), 'OAS=4 GRAN4K=1', cloudHypervisor('', '', 'OAS=4 GRAN4K=1 GRAN64K=1')],
  ['qemu-11', qemu('qemu-11'), 'OAS=4 GRAN4K=1', cloudHypervisor('', '', 'OAS=4 GRAN4K=1 GRAN64K=1')],
  ['fvp-rich', qemu('fvp-rich'), 'OAS=5 GRAN4K=1', cloudHypervisor(' CD2L=1', ' SSIDSIZE=20', WIDE)],
  ['mmu-600 r2', later('mmu-600'), 'OAS=5 GRAN4K=1', cloudHypervisor(' CD2L=1', ' SSIDSIZE=20', WIDE)],
  ['mmu-700 r1p1', later('mmu-700'), 'OAS=5 GRAN4K=1', cloudHypervisor(' CD2L=1', ' SSIDSIZE=20', WIDE)],
] as const)('before %s a guest sees', (part, setup, openvmmIdr5, cloud) => {
  // MMU-600 has no range invalidation, which QEMU offers unless it is told not to.
  const ril = part === 'mmu-600 r2' ? { vm: { properties: { ril: false } } } : {};

  it("QEMU's own values, whatever the part", () => {
    const { IDR3, ...rest } = QEMU;
    expect(shown({ ...setup, ...ril })).toEqual({ ...rest, IDR3: 'vm' in ril ? 'HAD=1 BBML=2' : IDR3 });
  });

  it("those of OpenVMM, with the part's OAS", () => {
    expect(shown({ ...setup, vmm: 'openvmm' })).toEqual({ ...OPENVMM, IDR5: openvmmIdr5 });
  });

  it.each(['cloud-hypervisor', 'cloud-hypervisor-staged'] as const)(
    'those of %s, cut down to the part',
    (vmm) => {
      expect(shown({ ...setup, vmm })).toEqual(cloud);
    },
  );
});

describe('QEMU without hardware behind it', () => {
  it.each(['qemu', 'tlbi-on-map'] as const)(
    '%s emulates, and tells the same before every part',
    (vmm: VmmProfileName) => {
      const seen = (['everything', 'qemu-9', 'fvp-rich'] as const).map((hardware) => {
        const run = begin({ hardware, vmm });
        const made = run.entries.findLast((each) => each.type === 'smmu.made');
        return made?.type === 'smmu.made' ? made.config.idr : {};
      });
      expect(new Set(seen.map((idr) => JSON.stringify(idr))).size).toBe(1);
      expect(seen[0]).toMatchObject(
        vmm === 'qemu' ? { IDR0: 0x0d44101a, IDR3: 0x1404 } : { IDR0: 0x0d44101a, IDR3: 0x4 },
      );
    },
  );
});

describe('what QEMU refuses, and why', () => {
  const idr = (word: string, value: number): Setup => ({ smmu: { idr: { [word]: value } } });
  const properties = (given: object, setup: Setup = {}): Setup => ({ ...setup, vm: { properties: given } });
  const ATS = 1 << 10;
  it.each([
    ['mmu-600 r2 has no ranges', later('mmu-600'), 'IDR3.RIL: the host has 0, at least 1 is needed'],
    [
      'oas=48 on qemu-9',
      properties({ oas: 48 }, qemu('qemu-9')),
      'IDR5.OAS: the host has 4, at least 5 is needed',
    ],
    [
      'ssidsize=8 on qemu-9',
      properties({ ssidsize: 8 }, qemu('qemu-9')),
      'IDR1.SSIDSIZE: the host has 0, at least 8 is needed',
    ],
    [
      'ats=on on qemu-9',
      properties({ ats: true }, qemu('qemu-9')),
      'IDR0.ATS: the host has 0, at least 1 is needed',
    ],
    ['linear stream tables', idr('IDR0', 0x00df_f6bb), 'IDR0.ST_LEVEL: the host has 0, equal 1 is needed'],
    ['16 KiB missing', idr('IDR5', 0x55), 'IDR5.GRAN16K: the host has 0, equal 1 is needed'],
    ['few StreamIDs', idr('IDR1', 0x0e73_9d08), 'IDR1.SIDSIZE: the host has 8, at least 16 is needed'],
    ['a part with an erratum of nesting', qemu('mmu-700'), 'no nesting parent: EOPNOTSUPP'],
  ] as const)('%s', (_, setup, reason) => {
    expect(refusalIn(begin(setup))).toBe(reason);
  });

  it('ats=on where the register has it: QEMU asks no more', () => {
    expect(refusalIn(begin(properties({ ats: true }, idr('IDR0', 0x08df_f6bb | ATS))))).toBeUndefined();
  });
});
