/**
 * What a step of a busy machine with two VMs costs, against a step of a bare SMMU with a driver of the test.
 *
 * A step is a stimulus with the events that it brings, and a turn is a stimulus like any other: so the turns count
 * on both sides, those of the bare SMMU too, in which it works off its commands. That is the strict way to count:
 * a stimulus from outside with the turns that it brings about is two steps of the bare SMMU, and twice as dear. The
 * work is alike: a page is mapped, a device stores a doubleword there, and the translation is invalidated and
 * waited for.
 *
 * The first row is what was asked for. It does not quite compare like with like: a step of the two VMs has 4.8
 * entries (a vCPU leaves the guest, the VMM calls the kernel, its driver goes to the real SMMU), one of the bare
 * SMMU 3.3, and three in ten of its steps are plain stores of the test. The second row is what an entry costs,
 * whoever makes it.
 */
import type { MachineConfig } from '../../core/config.ts';
import { openSession, type Session } from '../../core/machine.ts';
import { runTurns } from '../../core/run.ts';
import { smmuConfig } from '../../core/smmu/profiles.ts';
import type { VmmProfileName } from '../../core/vmm/profiles.ts';
import {
  ASID,
  at,
  bringUp,
  command,
  dma,
  machine,
  map,
  reset,
  storeWords,
  tables,
  write,
} from '../support/build.ts';
import { type Pair, paired, perSecond, type Row, timed } from './row.ts';

const ROUNDS = 5;
const TURNS = 20_000;

/** The rows of the table. */
export async function rows(): Promise<readonly Row[]> {
  return [
    await row('a step of two busy VMs over a step of a bare SMMU', ({ steps }) => steps),
    await row('an entry of two busy VMs over an entry of a bare SMMU', ({ entries }) => entries),
  ];
}

/** Steps that were made, and the entries of them. */
interface Made {
  readonly steps: number;
  readonly entries: number;
}

async function row(measure: string, counted: (made: Made) => number): Promise<Row> {
  const busy = twoVms();
  const bare = bareDriver();
  const pair: Pair = await paired(
    ROUNDS,
    () => rateOf(busy, counted),
    () => rateOf(bare, counted),
  );
  return {
    measure,
    ours: perSecond(pair.ours),
    against: `${perSecond(pair.against)} bare`,
    ratio: pair.ratio.toFixed(3),
    wanted: '>= 0.5',
    met: pair.ratio >= 0.5,
  };
}

/** So many a second; `work` makes some and says how many. */
async function rateOf(work: () => Made, counted: (made: Made) => number): Promise<number> {
  let steps = 0;
  let sum = 0;
  const ms = await timed(() => {
    while (steps < TURNS) {
      const made = work();
      steps += made.steps;
      sum += counted(made);
    }
  });
  return (sum / ms) * 1000;
}

function twoVms(): () => Made {
  const design: VmmProfileName = 'qemu-accel';
  const config: MachineConfig = {
    ram: [{ base: 0x4000_0000, size: 0x8000_0000 }],
    smmus: [smmuConfig('everything', { name: 'smmu0', base: 0x0905_0000 })],
    endpoints: ['nic0', 'nic1'].map((name, index) => ({
      name,
      smmu: 'smmu0',
      streamId: 8 + index,
      ats: false,
      pri: false,
      ssidBits: 0,
      atc: 0,
    })),
    kernel: { profile: 'linux-7.3' },
    schedule: 'seeded',
    seed: 1,
  };
  const session = openSession(reset(config));
  const ask = (stimulus: Parameters<Session['step']>[0]): void => {
    session.step(stimulus);
  };
  ask({ type: 'kernel.boot' });
  runTurns(session, () => {});
  for (const [index, vm] of ['vm0', 'vm1'].entries()) {
    const ram = [{ base: 0x4000_0000, size: 0x100_0000 }];
    ask({
      type: 'vm.create',
      vm,
      config: { profile: design, policies: {}, cpus: 1, ram, smmus: [`${vm}.smmu`] },
    });
    ask({ type: 'vm.plug', vm, endpoint: `nic${index}`, device: { streamId: 16 } });
    runTurns(session, () => {});
    ask({ type: 'guest.boot', vm });
    runTurns(session, () => {});
  }
  let seed = 1;
  return () => {
    for (const [index, vm] of ['vm0', 'vm1'].entries())
      ask({ type: 'guest.work', vm, endpoint: `nic${index}`, kind: 'nic-rx', seed: seed + index, count: 32 });
    seed += 2;
    const first = session.state.seq;
    const { turns } = runTurns(session, () => {});
    return { steps: 2 + turns, entries: session.state.seq - first };
  };
}

/** A store of a descriptor, an invalidation with its CMD_SYNC, and an access: with the turns that they take. */
function bareDriver(): () => Made {
  const session = openSession(reset(machine()));
  const ask = (stimulus: Parameters<Session['step']>[0]): number => {
    session.step(stimulus);
    return 1 + runTurns(session, () => {}).turns;
  };
  for (const stimulus of [...bringUp(), ...tables()]) ask(stimulus);
  let prod = 0;
  return () => {
    let steps = 0;
    const first = session.state.seq;
    for (let page = 0; page < 64; page += 1) {
      steps += ask(map(page * 4096, at.data + page * 4096));
      steps += ask(dma(page * 4096, 'write', 8));
      steps += ask(
        storeWords(at.cmdq + (prod % 256) * 16, command('CMD_TLBI_NH_VA', { ASID, Address: page * 4096 })),
      );
      steps += ask(storeWords(at.cmdq + ((prod + 1) % 256) * 16, command('CMD_SYNC')));
      prod += 2;
      steps += ask(write('CMDQ_PROD', BigInt(prod % 512)));
    }
    return { steps, entries: session.state.seq - first };
  };
}
