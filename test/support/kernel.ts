/**
 * A machine with a host's kernel, driven by scenario lines, so that tests speak of ioctls as scenarios do:
 * fields by their uAPI names, as text in tables (`ioas_id=1 length=0x1000`).
 */
import { ScenarioRunner } from '../../adapters/scenario/runner.ts';
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { Simulation } from '../../core/simulation.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { initialState, type State } from '../../core/state.ts';
import { contentOf } from './content.ts';
import { pairs } from './tables.ts';

export type Outcome = Readonly<Record<string, unknown>>;

export interface Host {
  /** Runs one scenario line; its outcome. */
  line(line: Readonly<Record<string, unknown>> & { readonly op: string }): Outcome;
  /** An ioctl on `iommu0`, its fields as text or as an object. */
  ioctl(name: string, arg: string | Readonly<Record<string, unknown>>, more?: object): Outcome;
  /** The errno of such an ioctl, `ok` without one. */
  errno(name: string, arg: string | Readonly<Record<string, unknown>>, more?: object): string;
  readonly state: State;
  /** The machine itself, for stimuli without a scenario line. */
  readonly simulation: Simulation;
  readonly machine: MachineConfig;
  /** What happened since the last look. */
  look(): readonly Entry[];
}

/** @param kernel the machine line's `kernel`; @param machine its other fields */
export function host(kernel: object = {}, machine: object = {}): Host {
  let simulation: Simulation | undefined;
  let seen: Entry[] = [];
  let made: MachineConfig | undefined;
  const runner = new ScenarioRunner({
    begin: (config) => {
      made = config;
      simulation = new Simulation(initialState(config, resetRegisters));
      simulation.entries$.subscribe((entries) => seen.push(...entries));
      return simulation;
    },
    label: (name) => ({ position: name }),
  });
  let line = 0;
  const run = (raw: object): Outcome => {
    line += 1;
    return runner.run(raw, { file: 'test', line }).outcome;
  };
  run({ op: 'machine', kernel, ...machine });
  runner.boot();
  const self: Host = {
    line: run,
    ioctl: (name, arg, more = {}) =>
      run({ op: 'ioctl', fd: 'iommu0', name, arg: typeof arg === 'string' ? fields(arg) : arg, ...more }),
    errno: (name, arg, more) => String(self.ioctl(name, arg, more)['errno'] ?? 'ok'),
    get state() {
      return self.simulation.state;
    },
    get simulation() {
      if (simulation === undefined) throw new Error('no machine');
      return simulation;
    },
    get machine() {
      if (made === undefined) throw new Error('no machine');
      return made;
    },
    look: () => {
      const since = seen;
      seen = [];
      return since;
    },
  };
  return self;
}

/** A host with /dev/iommu open and one IOAS, id 1. */
export function hostWithIoas(kernel?: object, machine?: object): Host {
  const made = host(kernel, machine);
  made.line({ op: 'open', fd: 'iommu0' });
  made.ioctl('IOMMU_IOAS_ALLOC', {});
  return made;
}

/** Memory of a process; its address. */
export function memory(of: Host, bytes: number, more: object = {}): string {
  return String(of.line({ op: 'mem.alloc', bytes, ...more })['va']);
}

/** `a=1 b=0x2 c=-1` as fields. */
export function fields(text: string): Record<string, unknown> {
  return Object.fromEntries(
    pairs(text).map(([name, value]) => [name, /^-[0-9]+$/.test(value) ? Number(value) : value]),
  );
}

/** The areas of an IOAS of context 1, in order. */
export function areas(of: Host, ioas = 1): { readonly iova: bigint; readonly last: bigint }[] {
  const all = of.state.kernel?.contexts[1]?.areas.get(ioas);
  return [...(all?.range() ?? [])].flatMap(([, list]) => list.map(({ iova, last }) => ({ iova, last })));
}

/** What the iommufd contexts hold, as text. */
export function contextsText(state: State): string {
  const { control, parts } = contentOf(state) as {
    control: { kernel: { contexts: unknown } };
    parts: object;
  };
  const maps = Object.entries(parts).filter(([name]) => name.startsWith('/kernel/contexts'));
  return JSON.stringify([control.kernel.contexts, maps]);
}
