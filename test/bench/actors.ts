/**
 * What a step of a busy machine with two VMs costs, against a step of a bare SMMU with a driver of the test.
 *
 * A step is a stimulus with the events that it brings, and a turn is a stimulus like any other. The first row counts
 * so on both sides, those turns of the bare SMMU too in which it works off its commands: the strict way. The second has
 * the bare SMMU's stimuli as the other parts of this bench count them: those from outside, each with the turns that it
 * brings about. The third row is what an entry costs, whoever makes it. The work is alike: a page is mapped, a device
 * stores a doubleword there, and the translation is invalidated and waited for.
 *
 * The first does not quite compare like with like: a step of the two VMs has 4.8 entries (a vCPU leaves the guest, the
 * VMM calls the kernel, its driver goes to the real SMMU), one of the bare SMMU 3.3, and three in ten of its steps are
 * plain stores of the test. And code that the two have in common costs more where it is one of many: the last row has
 * the turns of the SMMU under the two VMs against the same turns, of the same state, re-enacted on a bare SMMU.
 */
import { openSession, type Session } from '../../core/machine.ts';
import { runTurns } from '../../core/run.ts';
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
import { type Made, twoVms } from './busy-vms.ts';
import { type Pair, paired, perSecond, type Row, timed } from './row.ts';
import { sameTurns } from './same-turns.ts';

const ROUNDS = 5;
const TURNS = 20_000;

/** The rows of the table. */
export async function rows(): Promise<readonly Row[]> {
  return [
    await row('a step of two busy VMs over a step of a bare SMMU', ({ steps }) => steps),
    await row(
      'a step of two busy VMs over a stimulus of a bare SMMU, with its turns',
      ({ steps }) => steps,
      ({ asked }) => asked,
    ),
    await row('an entry of two busy VMs over an entry of a bare SMMU', ({ entries }) => entries),
    sameTurns(),
  ];
}

async function row(
  measure: string,
  counted: (made: Made) => number,
  bareCounted: (made: Made) => number = counted,
): Promise<Row> {
  const busy = twoVms();
  const bare = bareDriver();
  const pair: Pair = await paired(
    ROUNDS,
    () => rateOf(busy, counted),
    () => rateOf(bare, bareCounted),
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
    return { steps, asked: 64 * 5, entries: session.state.seq - first };
  };
}
