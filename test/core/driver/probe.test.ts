/** Probe and reset: the order of register accesses, the decisions by ID bits, and what a silent SMMU does to them. */
import { describe, expect, it } from 'vitest';
import { decideFeatures, defaultPlatform, probeProblem } from '../../../core/driver/features.ts';
import { bootFrames } from '../../../core/driver/probe.ts';
import type { Entry } from '../../../core/event.ts';
import { profiles } from '../../../core/smmu/profiles.ts';
import { bootedHost, commandsOf, hostConfig, of, plainPlatform } from '../../support/smmu-driver.ts';

const accesses = (entries: readonly Entry[]): string[] =>
  entries.flatMap((entry) => {
    if (entry.type === 'register.read') return [`r ${entry.register}`];
    return entry.type === 'register.written' ? [`w ${entry.register}=${entry.value.toString(16)}`] : [];
  });

describe('the bring-up', () => {
  it('reads, writes and waits in the order of the driver, on an SMMU without ATS, PRI, HYP', () => {
    const { entries, driver } = bootedHost({ profile: 'qemu-9' });
    expect(driver.running).toBe(true);
    const hex = (value: number): string => value.toString(16);
    const { CMDQ, EVENTQ } = driver.queues;
    expect(accesses(entries)).toEqual([
      ...['IDR0', 'IDR1', 'IDR3', 'IDR5', 'IIDR', 'CR0'].map((name) => `r ${name}`),
      'w CR0=0',
      'r CR0ACK',
      'w CR1=d75',
      // PTM is RES0 without BTM.
      'w CR2=2',
      `w STRTAB_BASE=${(BigInt(driver.strtab!.pa) | (1n << 62n)).toString(16)}`,
      // 2-level, split 8, 16 bits of StreamID.
      'w STRTAB_BASE_CFG=10210',
      `w CMDQ_BASE=${(BigInt(CMDQ!.pa) | (1n << 62n) | 9n).toString(16)}`,
      'w CMDQ_PROD=0',
      'w CMDQ_CONS=0',
      'w CR0=8',
      'r CR0ACK',
      `w CMDQ_PROD=${hex(2)}`,
      'r CMDQ_CONS',
      `w CMDQ_PROD=${hex(4)}`,
      'r CMDQ_CONS',
      `w EVENTQ_BASE=${(BigInt(EVENTQ!.pa) | (1n << 62n) | 8n).toString(16)}`,
      'w EVENTQ_PROD=0',
      'w EVENTQ_CONS=0',
      'w CR0=c',
      'r CR0ACK',
      'w IRQ_CTRL=0',
      'r IRQ_CTRLACK',
      'w IRQ_CTRL=5',
      'r IRQ_CTRLACK',
      'w CR0=d',
      'r CR0ACK',
      // The endpoint is attached to the blocked domain: its STE is so already, and is prefetched all the same.
      'w CMDQ_PROD=5',
    ]);
    expect(commandsOf(entries).slice(0, 4)).toEqual(['CFGI_STE_RANGE', 'SYNC', 'TLBI_NSNH_ALL', 'SYNC']);
    expect(of(entries, 'misuse.noted')).toEqual([]);
  });

  it('invalidates EL2, and turns PRI and ATS on, where the SMMU has them', () => {
    const { entries } = bootedHost();
    expect(commandsOf(entries).slice(0, 6)).toEqual([
      'CFGI_STE_RANGE',
      'SYNC',
      'TLBI_EL2_ALL',
      'SYNC',
      'TLBI_NSNH_ALL',
      'SYNC',
    ]);
    const cr0 = accesses(entries).filter((each) => each.startsWith('w CR0='));
    expect(cr0).toEqual(['w CR0=0', 'w CR0=8', 'w CR0=c', 'w CR0=e', 'w CR0=1e', 'w CR0=1f']);
  });

  it('goes through GBPA.ABORT when the SMMU is on already', () => {
    const host = bootedHost({ profile: 'qemu-9' });
    const again = host.run(bootFrames('smmu0', { platform: plainPlatform }));
    const seen = accesses(again);
    expect(seen.slice(5, 9)).toEqual(['r CR0', 'r GBPA', `w GBPA=${(0x8010_1000).toString(16)}`, 'r GBPA']);
    expect(host.driver.running).toBe(true);
  });

  it('probes endpoints: every fresh STE is valid and aborts, a leaf is made for its 256 StreamIDs', () => {
    const { driver, state } = bootedHost();
    const leaf = driver.strtab!.leaves[1]!;
    expect(Object.keys(driver.strtab!.leaves)).toEqual(['1']);
    for (const at of [0, 8, 255]) expect(state.memory.read64(leaf + at * 64)).toBe(1n);
    // Span 9: 2^8 STEs.
    expect(state.memory.read64(driver.strtab!.pa + 8)).toBe(BigInt(leaf) | 9n);
  });
});

describe('decisions by ID registers', () => {
  const { everything } = profiles;
  const idr = (over: Partial<Record<string, number>>) =>
    ({ ...everything.idr, ...over }) as Parameters<typeof decideFeatures>[0];

  it.each([
    ['IDR0.TTENDIAN=3', { IDR0: everything.idr.IDR0 | (3 << 21) }, 'unknown/unsupported TT endianness'],
    ['no stage', { IDR0: everything.idr.IDR0 & ~3 }, 'no translation support'],
    [
      'IDR0.TTF=1',
      { IDR0: (everything.idr.IDR0 & ~(3 << 2)) | (1 << 2) },
      'AArch64 table format not supported',
    ],
    ['TABLES_PRESET', { IDR1: everything.idr.IDR1 | (1 << 30) }, 'embedded implementation not supported'],
    ['CMDQS=6', { IDR1: (everything.idr.IDR1 & ~(31 << 21)) | (6 << 21) }, 'command queue size too small'],
  ])('refuses %s', (_, over, why) => {
    expect(probeProblem(idr(over))?.why).toBe(why);
  });

  it('takes what it knows', () => {
    expect(probeProblem(idr({}))).toBeUndefined();
    const features = decideFeatures(idr({}), defaultPlatform);
    expect(features).toMatchObject({
      nesting: true,
      rangeInv: true,
      e2h: true,
      twoLevelStrtab: true,
      oas: 48,
    });
    expect(features.pageSizes).toBe(
      0x1000n | 0x4000n | 0x1_0000n | 0x20_0000n | 0x200_0000n | 0x2000_0000n | 0x4000_0000n,
    );
  });

  // Implementer 0x43b; product in [31:20], variant in [19:16], revision in [15:12].
  it.each([
    ['MMU-600 r0p2', 0x4830_243b, { sev: false, nesting: false, forceSync: false }],
    ['MMU-600 r1p0', 0x4831_043b, { sev: true, nesting: false, forceSync: false }],
    ['MMU-600 r2p0', 0x4832_043b, { sev: true, nesting: true, forceSync: false }],
    ['MMU-700 r1p0', 0x4871_043b, { sev: true, nesting: false, forceSync: true }],
    ['MMU-700 r1p1', 0x4871_143b, { sev: true, nesting: true, forceSync: false }],
    ['another implementer', 0x4830_0000, { sev: true, nesting: true, forceSync: false }],
  ])('knows the errata of %s', (_, IIDR, wanted) => {
    expect(decideFeatures(idr({ IIDR }), defaultPlatform)).toMatchObject(wanted);
  });

  it('caps SubstreamIDs at 10 bits without 2-level CD tables', () => {
    const IDR0 = everything.idr.IDR0 & ~(1 << 19);
    expect(decideFeatures(idr({ IDR0 }), defaultPlatform).ssidBits).toBe(10);
    expect(hostConfig().kernel?.profile).toBe('linux-7.3');
  });
});
