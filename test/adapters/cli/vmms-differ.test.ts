/**
 * One story on three VMMs: `diff --steps` names every place where they differ, and none where they agree. The places are
 * those of the VMMs' sources: plugging a device, a ranged CFGI, GBPA, the message of a CMD_SYNC, a batch with errors.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openShell } from './backwalk.ts';

const shell = openShell();
const story = readFileSync('test/scenario/surprise-vm-where-vmms-differ.jsonl', 'utf8');
const vmms = { qemu: 'qemu-accel', openvmm: 'openvmm', ch: 'cloud-hypervisor' } as const;

interface Step {
  readonly a: string;
  readonly b: string;
  readonly what: string;
  readonly onlyA: readonly string[];
  readonly onlyB: readonly string[];
}

beforeAll(async () => {
  for (const [name, profile] of Object.entries(vmms)) {
    // What a check expects is of QEMU; the story itself is the same for all.
    const lines = story.replace('"profile":"qemu-accel"', `"profile":"${profile}"`);
    await shell.backwalk('run', shell.file(`${name}.jsonl`, lines), '--as', name);
  }
}, 60_000);

async function steps(a: string, b: string): Promise<readonly Step[]> {
  const { out, code } = await shell.backwalk('diff', '--steps', `${a}...${b}`, '--json');
  expect(code).toBe(1);
  return out.map((line) => JSON.parse(line) as Step);
}

describe('diff --steps', () => {
  it('QEMU and OpenVMM: plug, CFGI_ALL, SMMUEN, GBPA, the message, the batch', async () => {
    const found = await steps('qemu', 'openvmm');
    expect(found.map(({ what }) => what)).toEqual([
      'vm.plug vm0',
      ...Array<string>(5).fill('mmio.write vm0.smmu'),
    ]);
    const [plug, smmuen, cfgi, gbpa, sync, batch] = found;
    expect(plug?.onlyB).toContain('vm0 IOMMU_VDEVICE_ALLOC');
    expect(smmuen?.onlyB).toContain('nic0 attached nested');
    expect(cfgi?.onlyA).toContain('vm0 IOMMU_VDEVICE_ALLOC');
    expect(cfgi?.onlyB).toContain('vm0 IOMMU_DESTROY');
    expect(gbpa?.onlyA).toContain('nic0 attached abort');
    expect(gbpa?.onlyB).toEqual([]);
    expect(sync).toMatchObject({ onlyA: [], onlyB: ['vm0.smmu MSI of CMD_SYNC'] });
    expect(batch?.onlyA).toEqual(expect.arrayContaining(['vm0.smmu CMD_RESUME', 'vm0.smmu CMD_TLBI_NH_ALL']));
    expect(batch?.onlyB).toEqual(
      expect.arrayContaining(['vm0.smmu CMD_RESUME CERROR_ILL', 'vm0.smmu.GERROR is 0x1']),
    );
  });

  it('QEMU and Cloud Hypervisor: the ranged CFGI does nothing, the batch stops at its CFGI_CD', async () => {
    const found = await steps('qemu', 'ch');
    const facts = found.flatMap(({ onlyA }) => onlyA);
    expect(facts).toEqual(expect.arrayContaining(['nic0 attached nested', 'nic0 attached abort']));
    expect(found.flatMap(({ onlyB }) => onlyB)).toEqual(
      expect.arrayContaining(['vm0 IOMMU_HWPT_INVALIDATE EIO', 'vm0.smmu CMD_CFGI_CD CERROR_ILL']),
    );
    // The message of the CMD_SYNC is sent by neither.
    expect(found.some(({ onlyA, onlyB }) => [...onlyA, ...onlyB].includes('vm0.smmu MSI of CMD_SYNC'))).toBe(
      false,
    );
  });

  it('prints a position before each line, in 80 columns, and two lines for one place', async () => {
    const { out } = await shell.backwalk('diff', '--steps', 'openvmm...ch');
    for (const line of out) {
      expect(line.length).toBeLessThanOrEqual(80);
      expect(line).toMatch(/^(openvmm|ch)@\d+ {2}/);
    }
    expect(out.filter((line) => line.includes(' | ')).length).toBeGreaterThanOrEqual(5);
  });

  it('finds nothing between a history and itself', async () => {
    const { out, code } = await shell.backwalk('diff', '--steps', 'qemu...qemu');
    expect([out, code]).toEqual([[], 0]);
  });

  it('tells which steps one history has beside the other', async () => {
    const short = story.split('\n').slice(0, -6).join('\n');
    await shell.backwalk('run', shell.file('short.jsonl', short), '--as', 'short');
    const last = (await steps('short', 'qemu')).at(-1);
    expect(last).toMatchObject({ a: '-', what: 'mmio.write vm0.smmu' });
  });

  it('is for two histories only', async () => {
    const { code, err } = await shell.backwalk('diff', '--steps', 'qemu@3', 'qemu@4');
    expect(code).toBe(2);
    expect(err.join(' ')).toMatch(/--steps: expected A\.\.\.B, found "qemu@3"/);
  });
});

describe('help vmms', () => {
  it('lists profiles with their sources, every policy with who has which value, and the quirks', async () => {
    const { out } = await shell.backwalk('help', 'vmms');
    const text = out.join('\n').replace(/\s+/g, ' ');
    expect(text).toMatch(/cloud-hypervisor Cloud Hypervisor: nested .*set_host_id_regs/);
    expect(text).toMatch(/ranges CMD_CFGI_STE_RANGE .* ignored: cloud-hypervisor, cloud-hypervisor-staged/);
    expect(text).toMatch(/swallow-cfgi/);
    const rows = (await shell.backwalk('help', 'vmms', '--json')).out.map((line) => JSON.parse(line));
    expect(rows.find(({ profile }) => profile === 'openvmm')).toMatchObject({
      idr: { IDR0: '0x540101a', IDR1: '0x1080010' },
      policies: { batch: 'run', syncMsi: 'always' },
    });
  });
});
