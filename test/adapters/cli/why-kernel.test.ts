/** Why an ioctl ended as it did, on one small history: the check that the state shows, and who made it so. */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ScenarioLine } from '../../../adapters/scenario/scenario.ts';
import { jsonl } from '../story.ts';
import { openShell } from './backwalk.ts';

const shell = openShell();

function ioctl(name: string, arg: object, save?: object): ScenarioLine {
  return { op: 'ioctl', fd: 'iommu0', name, arg, ...(save === undefined ? {} : { save }) } as ScenarioLine;
}

const area = { flags: 7, ioas_id: '$ioas', user_va: '$ram', length: '0x1000', iova: 0 };

const lines = [
  {
    op: 'machine',
    ram: [{ base: '0x0', size: '0x80000000' }],
    smmus: [{ name: 'smmu0', profile: 'everything' }],
    endpoints: [{ name: 'nic0', smmu: 'smmu0', streamId: 8 }],
    kernel: { profile: 'linux-6.2' },
  },
  { op: 'open', fd: 'iommu0', save: { iommu: 'fd' } },
  ioctl('IOMMU_IOAS_ALLOC', {}, { ioas: 'out.out_ioas_id' }),
  { op: 'mem.alloc', bytes: '0x4000', kind: 'contiguous', save: { ram: 'va' } },
  ioctl('IOMMU_IOAS_MAP', area),
  ioctl('IOMMU_IOAS_MAP', area),
  ioctl('IOMMU_DESTROY', { id: 99 }),
  ioctl('IOMMU_IOAS_ALLOC', {}, { other: 'out.out_ioas_id' }),
  ioctl('IOMMU_DESTROY', { id: '$other' }),
  ioctl('IOMMU_DESTROY', { id: '$other' }),
  ioctl('IOMMU_IOAS_MAP', { ...area, iova: '0x100000', size: 8 }),
  { op: 'ioctl', fd: 'iommu0', code: '0x3b89' },
] as unknown as readonly ScenarioLine[];

beforeAll(async () => {
  await shell.backwalk('run', shell.file('story.jsonl', jsonl(lines)));
}, 60_000);

/** The explanation of the n-th ioctl that failed. */
async function failed(index: number): Promise<string> {
  const { out } = await shell.backwalk('log', '--type', 'ioctl.completed', '--json');
  const ends = out.map((line) => JSON.parse(line)).filter(({ errno }) => errno !== undefined);
  const { out: told, code } = await shell.backwalk('why', ends[index].position, '--depth', '2');
  expect(code).toBe(0);
  expect(told.every((line) => line.length <= 80)).toBe(true);
  return `\n${told.join('\n')}\n`;
}

describe('why of an ioctl', () => {
  it('names the area that is there already (EEXIST)', async () => {
    expect(await failed(0)).toMatchInlineSnapshot(`
      "
      main@294  kernel IOMMU_IOAS_MAP EEXIST for proc0 @293 [linux: iommufd/main.c]
      main@293  ├─ refused: 0x0 to 0xfff are mapped already [linux:
      main@293  │  │   iommufd/io_pagetable.c]
      main@288  │  └─ mapped by: kernel context=1 ioas=1 iova=0x0 last=0xfff
      main@288  │         source={"process":"proc0"} address=0x700000200000
      main@288  │         readable=true writeable=true pagesWriteable=true
      main@293  ├─ asked: IOMMU_IOAS_MAP iommu_ioas_map { size=0x28
      main@293  │      flags=IOMMU_IOAS_MAP_FIXED_IOVA|IOMMU_IOAS_MAP_WRITEABLE|IOMMU_
      main@293  │      IOAS_MAP_READABLE ioas_id=1 user_va=0x700000200000
      main@293  │      length=0x1000 }
      main@291  └─ by: outside fd=iommu0 code=0x3b85
      main@291         bytes=280000000700000001000000000000000000200000700000001000000
      main@291         00000000000000000000000 (line 6)
      "
    `);
  });

  it('names the id that nothing has (ENOENT)', async () => {
    expect(await failed(1)).toMatchInlineSnapshot(`
      "
      main@298  kernel IOMMU_DESTROY ENOENT for proc0 @297 [linux: iommufd/main.c]
      main@297  ├─ refused: ENOENT: id=99 names no object; none of that id was removed
      main@297  │      before
      main@297  ├─ asked: IOMMU_DESTROY iommu_destroy { size=8 id=0x63 }
      main@295  └─ by: outside fd=iommu0 code=0x3b80 bytes=0800000063000000 (line 7)
      "
    `);
  });

  it('names who removed the object (ENOENT)', async () => {
    expect(await failed(2)).toMatchInlineSnapshot(`
      "
      main@315  kernel IOMMU_DESTROY ENOENT for proc0 @314 [linux: iommufd/main.c]
      main@314  ├─ refused: id=2 names no object
      main@310  │  └─ removed by: kernel context=1 object=2 kind=ioas tombstone=false
      main@314  ├─ asked: IOMMU_DESTROY iommu_destroy { size=8 id=2 }
      main@312  └─ by: outside fd=iommu0 code=0x3b80 bytes=0800000002000000 (line 10)
      "
    `);
  });

  it('names the size that is too small (EINVAL)', async () => {
    expect(await failed(3)).toMatchInlineSnapshot(`
      "
      main@319  kernel IOMMU_IOAS_MAP EINVAL for proc0 @318 [linux: iommufd/main.c]
      main@318  ├─ refused: EINVAL: size=8 is below the 40 bytes that the call takes
      main@318  │      at least
      main@318  ├─ asked: IOMMU_IOAS_MAP iommu_ioas_map { size=8
      main@318  │      flags=IOMMU_IOAS_MAP_FIXED_IOVA|IOMMU_IOAS_MAP_WRITEABLE|IOMMU_
      main@318  │      IOAS_MAP_READABLE }
      main@316  └─ by: outside fd=iommu0 code=0x3b85
      main@316         bytes=080000000700000001000000000000000000200000700000001000000
      main@316         00000000000100000000000 (line 11)
      "
    `);
  });

  it('names the kernel that has no such call (ENOTTY)', async () => {
    expect(await failed(4)).toMatchInlineSnapshot(`
      "
      main@322  kernel 0x3b89 ENOTTY for proc0 @321 [linux: iommufd/main.c]
      main@321  ├─ refused: ENOTTY: linux-6.2 has no call 0x3b89 on a file of kind
      main@321  │      iommufd: IOMMU_HWPT_ALLOC came with Linux 6.6
      main@321  ├─ asked: 0x3b89
      main@320  └─ by: outside fd=iommu0 code=0x3b89 arg=0x0 (line 12)
      "
    `);
  });

  it('tells what one that succeeded made', async () => {
    const { out } = await shell.backwalk('log', '--type', 'ioctl.completed', '--json', '-n', '20');
    const [first = '{}'] = out;
    const { out: told } = await shell.backwalk('why', JSON.parse(first).position, '--depth', '1');
    expect(`\n${told.join('\n')}\n`).toMatchInlineSnapshot(`
      "
      main@280  kernel IOMMU_IOAS_ALLOC ret=0 for proc0 @276 [linux: iommufd/main.c]
      main@279  ├─ it did: kernel context=1 object=1
      main@276  ├─ asked: IOMMU_IOAS_ALLOC iommu_ioas_alloc { size=0xc }
      main@271  └─ by: outside fd=iommu0 code=0x3b81 bytes=0c0000000000000000000000
      main@271         (line 3)
      "
    `);
  });
});

describe('why behind the SMMU of a VM', () => {
  const vm = openShell();

  beforeAll(async () => {
    const scenario = new URL('../../scenario/good-vm-emulated-boot.jsonl', import.meta.url);
    await vm.backwalk('run', fileURLToPath(scenario));
  }, 60_000);

  it('finds the stores of the guest, whose addresses are not those of the host', async () => {
    const { out } = await vm.backwalk('search', '--type', 'command.fetched', '--back', '-n', '1', '--json');
    const { position } = JSON.parse(out[0] ?? '{}');
    const told = JSON.parse((await vm.backwalk('why', position, '--json', '--depth', '1')).out[0] ?? '{}');
    expect(told.below.map(({ role }: { role: string }) => role)).toEqual(['stored by', 'published by']);
    expect(told.below[0].what).toMatch(/^vm0 \[0x7/);
  });
});
