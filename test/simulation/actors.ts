/**
 * Seeded runs of many actors: VMs of several designs behind two SMMUs, devices at work on several CPUs, devices
 * plugged and taken away, guests killed, functions reset, allocations of the kernel made to fail. Turns are drawn
 * from the seed, so that all of them are in the middle of something when the next thing happens. While they work no
 * device reaches the memory of another VM; at the end all is quiet, nothing is left open, what guests looked at was
 * what had been written, and no rule was broken.
 */
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { openSession, type Session } from '../../core/machine.ts';
import { addressIn } from '../../core/memory/space.ts';
import { runTurns } from '../../core/run.ts';
import { smmuConfig } from '../../core/smmu/profiles.ts';
import type { State } from '../../core/state.ts';
import { checkHistory, seqOf } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { reset } from '../support/build.ts';
import { type Chance, chanceOf, deeds } from './deeds.ts';

export interface Ran {
  readonly entries: number;
  /** Accesses of devices of the host whose place was looked at. */
  readonly accesses: number;
  readonly killed: number;
  /** Accesses of workloads that were refused: none, unless somebody failed. */
  readonly refused: number;
}

const ENDPOINTS = ['nic0', 'nvme0', 'gpu0', 'nic1', 'nvme1', 'gpu1'] as const;
/** Turns between two deeds, at most. */
const BETWEEN = 150;
/** A run that takes more turns to come to rest never does. */
const TURNS_MAX = 400_000;

function machine(seed: number): MachineConfig {
  return {
    ram: [{ base: 0x4000_0000, size: 0x8000_0000 }],
    smmus: ['smmu0', 'smmu1'].map((name, index) =>
      smmuConfig('everything', {
        name,
        base: 0x0905_0000 + index * 0x100_0000,
        // Queues of hardware for guests, as a Tegra241 has them.
        choices: { tegra241Param: 0x4231 },
      }),
    ),
    endpoints: ENDPOINTS.map((name, index) => ({
      name,
      smmu: index < 3 ? 'smmu0' : 'smmu1',
      streamId: 8 + index,
      ats: name.startsWith('gpu'),
      pri: false,
      ssidBits: 0,
      atc: 16,
    })),
    doorbell: 0x809_0040,
    kernel: { profile: 'linux-7.3-software-queue' },
    schedule: 'seeded',
    seed,
  };
}

/** Runs one seed. Throws what went wrong. @param faults whether devices go, guests are killed and the kernel fails */
export function runActors(seed: number, actions: number, faults: boolean): Ran {
  const config = machine(seed);
  const session = openSession(reset(config));
  const seen = watch();
  const take = (entries: readonly Entry[]): void => seen.take(session.state, entries);
  take(session.step({ type: 'kernel.boot' }));
  settle(session, take);
  const chance = chanceOf(seed);
  const possible = deeds.filter(({ fault }) => faults || fault === undefined);
  const drawn = possible.flatMap((deed) => Array.from({ length: deed.weight }, () => deed));
  for (let left = actions; left > 0; left -= 1) act(session, chance, drawn, take);
  settle(session, take);
  // The last allocation that was to fail may not have come yet.
  take(session.step({ type: 'set', path: 'kernel.failNth', value: 0 }));
  for (const vm of Object.keys(session.state.vms)) take(session.step({ type: 'vm.end', vm }));
  settle(session, take);
  nothingLeft(session.state);
  const lost = seen.entries.find(losesCommand)?.seq ?? Number.POSITIVE_INFINITY;
  const finding = checkHistory(seen.entries, config, 'main').find(
    (each) => each.verdict !== 'excess' && seqOf(each) < lost && !(faults && isSurprise(each)),
  );
  if (finding !== undefined) throw new Error(`${finding.position} ${finding.rule}: ${finding.title}`);
  if (!faults && seen.ran.refused > 0)
    throw new Error(`${seen.ran.refused} accesses of correct guests were refused`);
  return { ...seen.ran, entries: seen.entries.length };
}

/** What a VMM tells its guest to be an illegal command, Linux turns into a CMD_SYNC: that invalidation is lost. */
const losesCommand = ({ type }: Entry): boolean => type === 'command.rejected';

/** A function was reset with nobody told: whatever is sent to it meanwhile, somebody has to say so. */
function isSurprise({ rule, title }: Finding): boolean {
  return rule === 'I9' && title.startsWith('atc-invalidated-in-reset');
}

function act(
  session: Session,
  chance: Chance,
  drawn: readonly (typeof deeds)[number][],
  take: (entries: readonly Entry[]) => void,
): void {
  const stimulus = chance.pick(drawn).make(session.state, chance);
  if (stimulus !== undefined) take(session.step(stimulus));
  runTurns(session, take, chance.below(BETWEEN));
}

function settle(session: Session, take: (entries: readonly Entry[]) => void): void {
  if (!runTurns(session, take, TURNS_MAX).quiet) throw new Error('it never comes to rest');
}

/** Looks at the entries as they come. */
function watch() {
  const entries: Entry[] = [];
  const ran = { accesses: 0, killed: 0, refused: 0 };
  // A guest drops a command that it is told to be illegal: from there on it may see what is stale.
  let lost = false;
  const take = (state: State, more: readonly Entry[]): void => {
    for (const entry of more) {
      entries.push(entry);
      if (entry.type === 'vm.ended') ran.killed += 1;
      if (losesCommand(entry)) lost = true;
      if (entry.type === 'guest.answered') {
        // A shadow of the guest's tables has no filter by ASID: what others unmap is away for a moment.
        const shadowed = state.vms[entry.actor]?.config.profile === 'tlbi-on-map';
        ran.refused += shadowed ? 0 : (entry.value?.['refused'] ?? 0);
        if ((entry.value?.['corrupt'] ?? 0) > 0 && !lost)
          throw new Error(`@${entry.seq}: a buffer did not hold what was written`);
      }
      if (entry.type === 'access.completed' && state.smmus[entry.smmu]?.config.space === undefined) {
        ran.accesses += 1;
        isolated(state, entry.endpoint, entry.pa, entry.seq);
      }
    }
  };
  return { entries, ran, take };
}

/** What a device of the host reaches is its VM's, or no VM's. */
function isolated(state: State, endpoint: string, pa: number, seq: number): void {
  for (const { name, devices } of Object.values(state.vms)) {
    if (devices[endpoint]?.kind === 'assigned' || addressIn(state, name, pa) === undefined) continue;
    throw new Error(`@${seq}: ${endpoint} reached 0x${pa.toString(16)} of ${name}`);
  }
}

function nothingLeft({ tasks, vms, kernel, spaces }: State): void {
  const left = {
    tasks: tasks.map(({ unit, what }) => `${unit} ${what}`),
    vms: Object.keys(vms),
    spaces: Object.keys(spaces),
    contexts: Object.keys(kernel?.contexts ?? {}),
    files: Object.keys(kernel?.files ?? {}),
    processes: Object.keys(kernel?.processes ?? {}),
  };
  const some = Object.entries(left).filter(([, names]) => names.length > 0);
  if (some.length > 0) throw new Error(`left behind: ${JSON.stringify(Object.fromEntries(some))}`);
}
