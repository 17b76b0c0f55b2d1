/** Two VMs of nested translation, each with a NIC at work. */
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { openSession, type Session } from '../../core/machine.ts';
import { runTurns } from '../../core/run.ts';
import { smmuConfig } from '../../core/smmu/profiles.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { reset } from '../support/build.ts';

/** Steps that were made, how many of them were asked for from outside, and their entries. */
export interface Made {
  readonly steps: number;
  readonly asked: number;
  readonly entries: number;
}

/** Looks at a step that is to be made, and makes it. */
export type Watch = (stimulus: Stimulus, step: () => readonly Entry[]) => readonly Entry[];

export const busyConfig: MachineConfig = {
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

/** A machine that has booted: each call lets both NICs receive 32 packets. */
export function twoVms(watch: Watch = (_, step) => step()): () => Made {
  const own = openSession(reset(busyConfig));
  const session: Session = { ...own, step: (stimulus) => watch(stimulus, () => own.step(stimulus)) };
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
      config: { profile: 'qemu-accel', policies: {}, cpus: 1, ram, smmus: [`${vm}.smmu`] },
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
    return { steps: 2 + turns, asked: 2, entries: session.state.seq - first };
  };
}
