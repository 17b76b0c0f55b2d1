/**
 * Wants to show: whatever of its hardware fails under a call, the call ends, with the errno that Linux gives; what
 * the kernel holds and what tables map is what it would be otherwise; and all of it can be ended afterwards. How:
 * each call that succeeds is made again, and before its n-th command is fetched the Command queue is stopped for the
 * rest of it (its CMD_SYNCs time out), or the command is made an illegal one, or the queue's memory aborts.
 */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../core/event.ts';
import { nextUnit } from '../../../core/run.ts';
import { registers } from '../../../core/smmu/registers.ts';
import { heldByKernel } from '../../support/held.ts';
import { endAll, prepared, type Story, stories } from '../../support/ioctl-stories.ts';
import { named, type World } from '../../support/nesting.ts';
import { freePages, reachText } from '../../support/reach.ts';

const TURNS_MAX = 20_000;
const CMDQEN = 1 << 3;
const SMMUS = ['smmu0', 'smmu1'];

/** What goes wrong, and how it is mended when the call has ended. */
interface Fault {
  readonly name: string;
  strike(of: World, smmu: string): void;
  mend?(of: World, smmu: string): void;
  /** An event without which it did not fail. */
  readonly shows: Entry['type'];
  /** What an invalidation for a guest says of it. @param sync it struck the CMD_SYNC */
  invalidation(sync: boolean): string;
}

function write(of: World, smmu: string, name: 'CR0' | 'CMDQ_BASE' | 'GERRORN', value: number | bigint): void {
  const { offset, width } = registers.byName[name];
  of.simulation.dispatch({ type: 'mmio.write', smmu, offset, size: width / 8, value: BigInt(value) });
}

function enabled(of: World, smmu: string, on: boolean): void {
  const cr0 = of.simulation.glance.smmus[smmu]!.regs['CR0']!;
  write(of, smmu, 'CR0', on ? cr0 | CMDQEN : cr0 & ~CMDQEN);
  of.simulation.dispatch({ type: 'turn', unit: `${smmu}.acknowledge` });
}

/** An address without memory. */
const HOLE = 0xf_0000_0000n;

/** Puts the queue elsewhere, or back where its driver has it. */
function moved(of: World, smmu: string, to: (base: bigint) => bigint): void {
  const { pa, sizeLog2 } = of.simulation.glance.drivers[smmu]!.queues.CMDQ!;
  enabled(of, smmu, false);
  write(of, smmu, 'CMDQ_BASE', to(BigInt(pa)) | BigInt(sizeLog2));
  enabled(of, smmu, true);
}

const faults: readonly Fault[] = [
  {
    name: 'stops',
    strike: (of, smmu) => enabled(of, smmu, false),
    mend: (of, smmu) => enabled(of, smmu, true),
    shows: 'sync.timedout',
    invalidation: () => 'ETIMEDOUT',
  },
  {
    name: 'meets an illegal command',
    strike: (of, smmu) => {
      const queue = of.simulation.glance.drivers[smmu]!.queues.CMDQ!;
      const cons = of.simulation.glance.smmus[smmu]!.regs['CMDQ_CONS']! & 0xf_ffff;
      const pa = queue.pa + (cons % 2 ** queue.sizeLog2) * 16;
      of.simulation.dispatch({ type: 'mem.write', pa, bytes: new Uint8Array(16).fill(0xff) });
    },
    shows: 'command.rejected',
    // What the handler puts in its place completes, but stores nothing where the driver looks.
    invalidation: (sync) => (sync ? 'ETIMEDOUT' : 'ok'),
  },
  {
    name: 'aborts',
    strike: (of, smmu) => moved(of, smmu, () => HOLE),
    mend: (of, smmu) => {
      moved(of, smmu, (base) => base);
      write(of, smmu, 'GERRORN', of.simulation.glance.smmus[smmu]!.regs['GERROR']!);
    },
    shows: 'fetch.retried',
    invalidation: () => 'ETIMEDOUT',
  },
];

interface Ran {
  readonly errno: string;
  readonly fetched: number;
}

/** Makes the story's call turn by turn; `fault` strikes when `nth` commands were fetched. */
function run(of: World, { call, arg, fd = 'iommu0' }: Story, fault?: Fault, nth = 0): Ran {
  of.line({ op: 'set', path: 'schedule', value: 'manual' });
  of.look();
  of.line({ op: 'ioctl', fd, name: call, arg: named(arg, of.names) });
  let fetched = 0;
  let struck = false;
  let inTime = false;
  const entries: Entry[] = [...of.look()];
  for (let turns = 0; ; turns += 1) {
    expect(turns).toBeLessThan(TURNS_MAX);
    const unit = nextUnit(of.simulation.glance);
    if (unit === undefined) break;
    const [smmu = '', part] = unit.split('.');
    if (fault !== undefined && !struck && part === 'cmdq' && fetched === nth) {
      struck = true;
      // CMD_PREFETCH_CONFIG goes out last, and nobody waits for it.
      inTime = !entries.some(({ type }) => type === 'ioctl.completed');
      fault.strike(of, smmu);
      continue;
    }
    of.simulation.dispatch({ type: 'turn', unit });
    const now = of.look();
    fetched += now.filter(({ type }) => type === 'command.fetched').length;
    entries.push(...now);
  }
  for (const smmu of SMMUS) if (struck) fault?.mend?.(of, smmu);
  of.line({ op: 'set', path: 'schedule', value: 'eager' });
  of.simulation.run(TURNS_MAX);
  const completed = entries.find(({ type }) => type === 'ioctl.completed');
  expect(completed).toBeDefined();
  if (inTime) expect(entries.map(({ type }) => type)).toContain(fault?.shows);
  return { errno: String((completed as { errno?: string }).errno ?? 'ok'), fetched };
}

const NTH_MAX = 12;

describe.each(faults)('a Command queue that $name', (fault) => {
  it.each(stories)('under $name', (story) => {
    const clean = prepared(story);
    const { errno, fetched } = run(clean, story);
    expect(errno).toBe('ok');
    const after = [heldByKernel(clean.state), reachText(clean.state)];
    endAll(clean);
    for (let nth = 0; nth < Math.min(fetched, NTH_MAX); nth += 1) {
      const made = prepared(story);
      const ran = run(made, story, fault, nth);
      const at = `command ${nth}`;
      const told = story.call === 'IOMMU_HWPT_INVALIDATE' ? fault.invalidation(nth === fetched - 1) : 'ok';
      expect(ran.errno, at).toBe(told);
      expect(heldByKernel(made.state), at).toBe(after[0]);
      expect(reachText(made.state), at).toBe(after[1]);
      endAll(made);
      expect(made.state.kernel!.contexts, at).toEqual({});
      expect(made.state.tasks, at).toEqual([]);
      expect(freePages(made.state), at).toBe(freePages(clean.state));
    }
  });
});
