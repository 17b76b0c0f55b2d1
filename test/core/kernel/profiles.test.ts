/**
 * Kernel profiles: the calls and struct sizes of each release against the listing, what each release
 * brought and how each switch stands as tables of text, and the proposals against their mails.
 */
import { describe, expect, it } from 'vitest';
import {
  type CallName,
  callsIn,
  defaultKernelProfile,
  hasIoctl,
  hasName,
  ioctlAt,
  isKernelProfile,
  type KernelProfile,
  kernelProfiles,
  knownFlags,
  lastNumber,
  type ProfileName,
  structSize,
  switchesOf,
  wrongSwitch,
} from '../../../core/kernel/profiles.ts';
import { isSwitchValue, type Switch, type SwitchName, switches } from '../../../core/kernel/switches.ts';
import type { MemberName } from '../../../core/kernel/uapi/enums.ts';
import { mails, proposedIoctls } from '../../../core/kernel/uapi/proposed.ts';
import { atLeast, versions } from '../../../core/kernel/uapi/versions.ts';
import { table } from '../../support/tables.ts';
import { listing } from '../../support/uapi-listing.ts';

type Sizes = Record<string, { size: number; minSize: number }>;
const released = (version: string) => `linux-${version}` as ProfileName;

describe('releases', () => {
  it('have a profile each, and the newest is the default', () => {
    expect(listing.profiles.map(({ version }) => version)).toEqual(versions);
    for (const version of versions)
      expect(kernelProfiles).toHaveProperty([released(version), 'release'], version);
    expect(defaultKernelProfile).toBe(released(versions.at(-1)!));
  });

  it.each(listing.profiles)('$version has the calls and sizes of the listing', ({ version, ioctls }) => {
    const ours = [...callsIn(released(version)).values()].map(({ name, bytes, min }) => [
      name,
      { size: bytes, minSize: min },
    ]);
    expect(Object.fromEntries(ours)).toEqual(ioctls as Sizes);
    for (const [name, { size }] of Object.entries(ioctls as Sizes)) {
      expect(structSize(released(version), name as CallName)).toBe(size);
    }
  });

  it('find a call by number and kind of file', () => {
    expect(ioctlAt('linux-6.2', 'iommufd', 0x89)).toBeUndefined();
    expect(ioctlAt('linux-6.6', 'iommufd', 0x89)).toMatchObject({
      name: 'IOMMU_HWPT_ALLOC',
      code: 0x3b89,
      bytes: 24,
    });
    expect(ioctlAt('linux-7.3', 'iommufd', 0x76)).toBeUndefined();
    expect(ioctlAt('linux-7.3', 'vfio-device', 0x76)?.name).toBe('VFIO_DEVICE_BIND_IOMMUFD');
    expect([lastNumber('linux-6.2'), lastNumber('linux-6.12'), lastNumber('linux-7.3')]).toEqual([
      0x88, 0x8e, 0x95,
    ]);
    expect(() => structSize('linux-6.2', 'IOMMU_HWPT_ALLOC')).toThrow(/IOMMU_HWPT_ALLOC in linux-6.2/);
  });

  // What came with a release, and was not there the release before.
  const brought = table<'release' | 'calls' | 'names'>(`
    release | calls                                                                        | names
    6.6     | HWPT_ALLOC GET_HW_INFO                                                       | HW_INFO_TYPE_INTEL_VTD
    6.7     | HWPT_SET_DIRTY_TRACKING HWPT_GET_DIRTY_BITMAP                                | HWPT_ALLOC_NEST_PARENT HWPT_ALLOC_DIRTY_TRACKING HWPT_DATA_NONE HWPT_DATA_VTD_S1 HW_CAP_DIRTY_TRACKING
    6.8     | HWPT_INVALIDATE                                                              | HWPT_INVALIDATE_DATA_VTD_S1
    6.11    | FAULT_QUEUE_ALLOC                                                            | HWPT_FAULT_ID_VALID
    6.13    | IOAS_MAP_FILE IOAS_CHANGE_PROCESS VIOMMU_ALLOC VDEVICE_ALLOC                  | HW_INFO_TYPE_ARM_SMMUV3 HWPT_DATA_ARM_SMMUV3 VIOMMU_TYPE_ARM_SMMUV3 VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 HWPT_ALLOC_PASID
    6.15    | VEVENTQ_ALLOC                                                                | HW_CAP_PCI_PASID_EXEC HW_CAP_PCI_PASID_PRIV VEVENTQ_TYPE_ARM_SMMUV3
    6.17    | HW_QUEUE_ALLOC                                                               | VIOMMU_TYPE_TEGRA241_CMDQV VEVENTQ_TYPE_TEGRA241_CMDQV HW_QUEUE_TYPE_TEGRA241_CMDQV HW_INFO_TYPE_TEGRA241_CMDQV HW_INFO_FLAG_INPUT_TYPE
    7.2     |                                                                              | HWPT_DATA_AMD_GUEST HW_INFO_TYPE_AMD HW_CAP_PCI_ATS_NOT_SUPPORTED
    7.3     | IOAS_NOIOMMU_GET_PA                                                          | HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI
  `);

  it.each(brought)('$release brought $calls $names', ({ release, calls, names }) => {
    const before = versions[versions.indexOf(release as never) - 1]!;
    for (const call of calls.split(' ').filter((name) => name !== '')) {
      const name = `IOMMU_${call}` as CallName;
      expect([hasIoctl(released(before), name), hasIoctl(released(release), name)], name).toEqual([
        false,
        true,
      ]);
    }
    for (const each of names.split(' ')) {
      const name = `IOMMU_${each}` as MemberName;
      expect([hasName(released(before), name), hasName(released(release), name)], name).toEqual([
        false,
        true,
      ]);
    }
  });

  it('bring calls in the rows above alone', () => {
    const listed = brought.flatMap(({ release, calls }) =>
      calls
        .split(' ')
        .filter(Boolean)
        .map((name) => [release, name]),
    );
    const ours = versions
      .slice(1)
      .flatMap((version, index) =>
        [...callsIn(released(version)).keys()]
          .filter((name) => name.startsWith('IOMMU_') && !hasIoctl(released(versions[index]!), name))
          .map((name) => [version, name.slice('IOMMU_'.length)]),
      );
    expect(new Set(ours.map(String))).toEqual(new Set(listed.map(String)));
  });

  it('know the flags that their documentation names', () => {
    const flags = (version: string) => knownFlags(released(version), 'iommufd_hwpt_alloc_flags');
    expect(['6.6', '6.7', '6.11', '6.13', '7.3'].map(flags)).toEqual([0, 3, 7, 15, 15]);
    expect(knownFlags('linux-6.14', 'vfio_device_attach_flags')).toBe(0);
    expect(knownFlags('linux-6.15', 'vfio_device_attach_flags')).toBe(1);
  });
});

describe('switches', () => {
  // The value in 6.2, then each release that changed it.
  const rows = table<'name' | 'history'>(`
    name                    | history
    batchRule               | per-block
    zeroLengthProbe         | EINVAL
    strictCommandValidation | false 7.3=true
    entryCaps               | false 7.3=true
    invalidateViommu        | false 6.13=true
    invalidateForm          | entries
    invalidateErrors        | errno
    unknownCommand          | EIO
    vdeviceNeeded           | none 6.15=all 6.19=stage1
    eatsVeto                | all 6.19=stage1
    nestedMev               | false 6.15=true
    nestedFaultId           | driver 6.15=core
    oneVdevicePerDevice     | false 6.17=true
    tombstones              | false 6.17=true
    vdeviceOneStream        | false 7.3=true
    tegraVirtIdBits         | 32 7.3=20
    vsidTable               | none 6.13=vdevice
    smmuNestedOn            | hwpt 6.13=viommu
    stage2Attach            | stage2
    vmidOwner               | parent
    hwInfoIdr               | raw
    idr5DsListed            | false 7.3=true
    hwInfoReserved          | 4 6.15=3
    shortEventRead          | zero 7.3=EINVAL
    veventqDepthCap         | false 7.3=true
    faultWriteFault         | residue 7.3=EFAULT
    mmap                    | false 6.17=true
    unmapSearch             | onward
    mapFileDmabuf           | false 6.19=true
    unmapDmaEmpty           | ENOENT 7.2=success
    infoCapabilityAlign     | 1 6.6=8
    msiPagePerContext       | false 6.15=true
    allocPasid              | false 6.15=true
    pasidWithoutPasid       | EINVAL 6.16=skipped
    resetBlocksAttach       | false 7.3=true
    bindTail                | ignored 6.17=E2BIG
    noiommu                 | false 7.3=true
    tlbiOnMap               | false
    softwareQueue           | false
    softwareQueueCons       | synced
    softwareQueueTags       | replaced
    drainsQueues            | true
    vbtm                    | false
    vhttu                   | false
  `);

  it('are all in the table', () => {
    expect(Object.keys(switches).sort()).toEqual(rows.map(({ name }) => name).sort());
  });

  it.each(rows)('$name: $history', ({ name, history }) => {
    const [first = '', ...changes] = history.split(' ');
    let expected = first;
    for (const version of versions) {
      const change = changes.find((each) => each.startsWith(`${version}=`));
      if (change !== undefined) expected = change.slice(version.length + 1);
      expect(String(switchesOf(released(version))[name as SwitchName]), version).toBe(expected);
    }
  });

  it('take values of their list alone, have two or more, a meaning and a source', () => {
    for (const [name, row] of Object.entries(switches) as [SwitchName, Switch][]) {
      expect(row.values.length, name).toBeGreaterThan(1);
      for (const value of Object.values(row.from)) expect(row.values, name).toContain(value);
      expect(row.meaning).not.toBe('');
      expect(row.source).toMatch(/\.[ch]\b|mail of/);
    }
  });

  it('can be set otherwise by a scenario, to what there is', () => {
    expect(switchesOf('linux-7.3', { batchRule: 'validate-first' }).batchRule).toBe('validate-first');
    expect(switchesOf('linux-7.3').batchRule).toBe('per-block');
    expect(wrongSwitch({ batchRule: 'validate-first', mmap: false })).toBeUndefined();
    expect(wrongSwitch({ mmap: true, batchRule: 'some' })).toBe('batchRule=some');
    expect(wrongSwitch({ toString: 1 })).toBe('toString=1');
    expect(isSwitchValue('hwInfoReserved', '3')).toBe(false);
  });
});

describe('proposals', () => {
  const proposals = (Object.entries(kernelProfiles) as [ProfileName, KernelProfile][]).filter(
    ([name, { release }]) => name !== released(release),
  );

  it.each(proposals)(
    '%s: differs from its release in calls or switches, and cites a mail',
    (name, profile) => {
      const { proposal, withoutIommufd, mails: cited = [], release } = profile;
      for (const mail of cited) expect(mails).toHaveProperty(mail);
      for (const [key, value] of Object.entries(profile.switches ?? {})) {
        expect(isSwitchValue(key as SwitchName, value), key).toBe(true);
        expect(value, key).not.toBe(switchesOf(released(release))[key as SwitchName]);
      }
      const asMerged = name === 'v4-2024-11';
      const differs =
        proposal !== undefined || withoutIommufd || Object.keys(profile.switches ?? {}).length > 0;
      expect(differs).toBe(!asMerged);
      expect(cited.length > 0).toBe(name !== 'linux-7.3-validate-first');
    },
  );

  it('name their mails by date and subject', () => {
    for (const [date, subject] of Object.values(mails)) {
      expect(date).toMatch(/^20\d\d-\d\d-\d\d$/);
      expect(subject).toMatch(/^(Re: )?\[(PATCH|RFC)[^\]]*\] /);
    }
  });

  const rows = table<'profile' | 'call' | 'nr' | 'bytes' | 'min'>(`
    profile             | call                       | nr   | bytes | min
    rfc-2023-03         | IOMMU_HWPT_ALLOC           | 0x89 | 40    | 24
    rfc-2023-03         | IOMMU_GET_HW_INFO          | 0x8a | 32    | 32
    rfc-2023-03         | IOMMU_RESV_IOVA_RANGES     | 0x8b | 24    | 24
    rfc-2023-03         | IOMMU_HWPT_INVALIDATE      | 0x8c | 24    | 24
    rfc-2023-03         | IOMMU_SET_DEV_DATA         | 0x8d | 24    | 20
    rfc-2023-03         | IOMMU_UNSET_DEV_DATA       | 0x8e | 8     | 8
    v6-2023-11          | IOMMU_HWPT_INVALIDATE      | 0x8d | 32    | 32
    v6-2023-11-event-fd | IOMMU_HWPT_INVALIDATE      | 0x8d | 32    | 32
    v6-2023-11-event-fd | IOMMU_HWPT_EVENT_ALLOC     | 0x8e | 16    | 16
    rfc-2024-05         | IOMMU_VIOMMU_ALLOC         | 0x8e | 24    | 24
    rfc-2024-05         | IOMMU_VIOMMU_SET_VDEV_ID   | 0x8f | 24    | 24
    rfc-2024-05         | IOMMU_VQUEUE_ALLOC         | 0x90 | 32    | 32
    rfc-2024-05         | IOMMU_VIOMMU_UNSET_VDEV_ID | 0x91 | 24    | 24
    rfc-2024-05         | IOMMU_VIOMMU_ATTACH        | 0x92 | 16    | 16
    rfc-2024-05         | IOMMU_DEV_INVALIDATE       | 0x93 | 32    | 32
    rfc-2024-05         | IOMMU_VIOMMU_INVALIDATE    | 0x8d | 32    | 32
  `);

  it('add the calls of their mails, with their numbers and sizes', () => {
    const listed = rows.map(({ profile, call }) => `${profile} ${call}`);
    const ours = proposals.flatMap(([name, { proposal }]) =>
      proposal === undefined ? [] : Object.keys(proposedIoctls[proposal]).map((call) => `${name} ${call}`),
    );
    expect(new Set(ours)).toEqual(new Set(listed));
    for (const { profile, call, nr, bytes, min } of rows) {
      const found = callsIn(profile as ProfileName).get(call as CallName);
      expect(found, call).toMatchObject({
        nr: Number(nr),
        code: 0x3b00 + Number(nr),
        bytes: Number(bytes),
        min: Number(min),
      });
    }
  });

  it.each(proposals)('%s: has one call for a number, but for aliases', (name) => {
    for (const call of callsIn(name).values()) {
      const first = ioctlAt(name, call.file, call.nr);
      expect(first?.struct).toBe(call.struct);
      if (call.name !== 'IOMMU_VIOMMU_INVALIDATE') expect(first).toBe(call);
      else expect(first?.name).toBe('IOMMU_HWPT_INVALIDATE');
    }
  });

  it('keep what their release has besides', () => {
    expect(hasIoctl('rfc-2024-05', 'IOMMU_HWPT_GET_DIRTY_BITMAP')).toBe(true);
    expect(hasIoctl('rfc-2024-05', 'IOMMU_FAULT_QUEUE_ALLOC')).toBe(false);
    expect(hasIoctl('v6-2023-11', 'VFIO_DEVICE_BIND_IOMMUFD')).toBe(true);
    expect(hasIoctl('v4-2024-11', 'IOMMU_VDEVICE_ALLOC')).toBe(true);
    expect(hasName('v6-2023-11', 'IOMMU_HWPT_DATA_ARM_SMMUV3')).toBe(true);
    expect(hasName('linux-6.7', 'IOMMU_HWPT_DATA_ARM_SMMUV3')).toBe(false);
  });

  it('are none at all in 2017: no call has a number', () => {
    expect(callsIn('rfc-2017-08').size).toBe(0);
    expect(lastNumber('rfc-2017-08')).toBeUndefined();
    expect(hasIoctl('rfc-2017-08', 'IOMMU_DESTROY')).toBe(false);
  });

  it('say which of their calls no mail gives in full', () => {
    const derived = Object.values(proposedIoctls).flatMap((set) =>
      Object.entries(set).flatMap(([name, row]) => ('derived' in row ? [name] : [])),
    );
    expect(derived).toEqual([
      'IOMMU_HWPT_EVENT_ALLOC',
      'IOMMU_VIOMMU_UNSET_VDEV_ID',
      'IOMMU_VIOMMU_ATTACH',
      'IOMMU_DEV_INVALIDATE',
    ]);
  });
});

describe('names of profiles', () => {
  it('are known or not', () => {
    expect(isKernelProfile('linux-6.13')).toBe(true);
    expect(isKernelProfile('linux-6.1')).toBe(false);
    expect(isKernelProfile('toString')).toBe(false);
    expect(atLeast('6.10', '6.9')).toBe(true);
    expect(atLeast('6.2', '6.10')).toBe(false);
  });
});
