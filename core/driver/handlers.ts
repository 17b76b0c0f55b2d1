/** How the facts of drivers evolve the state. */

import { present } from '../assert.ts';
import { changed } from '../changed.ts';
import type { Handlers } from '../machine.ts';
import { openMap, sealedMap } from '../parts.ts';
import type { State } from '../state.ts';
import type { driverEvents } from './events.ts';
import type { Domain, DriverInterrupt, DriverState, Master, Run } from './state.ts';

const nothing = (): void => {};

export const driverHandlers: Pick<Handlers, keyof typeof driverEvents> = {
  'driver.made': (state, { driver, setup }) => {
    state.drivers[driver] = newDriver(driver, setup);
    // An operating system that starts anew has no processes.
    for (const mm in state.mms) if (state.mms[mm]?.driver === driver) delete state.mms[mm];
  },
  'driver.probed': (state, { driver, features }) => {
    of(state, driver).features = features;
  },
  'driver.failed': (state, { driver, why }) => {
    of(state, driver).failed = why;
  },
  'driver.started': (state, { driver }) => {
    of(state, driver).running = true;
  },
  'driver.told': nothing,
  'unmap.stopped': nothing,

  'queue.placed': (state, { driver, queue, pa, sizeLog2 }) => {
    of(state, driver).queues[queue] = { pa, sizeLog2, prod: 0, cons: 0 };
  },
  'queue.moved': (state, { driver, queue, prod, cons }) => {
    const held = present(of(state, driver).queues[queue], `queue ${queue}`);
    held.prod = prod;
    held.cons = cons;
  },
  'second.placed': (state, { driver, queue }) => {
    const held = of(state, driver);
    held.second = [...(held.second ?? []), { ...queue, prod: 0, cons: 0 }];
  },
  'second.moved': (state, { driver, queue, prod, cons }) => {
    const held = of(state, driver);
    held.second = (held.second ?? []).map((each) => (each.index === queue ? { ...each, prod, cons } : each));
  },
  'cmdq.reserved': (state, { driver, index, end, owner }) => {
    const held = of(state, driver);
    const runs = held.runs ?? [];
    const part = { index, filled: false };
    const last = runs.at(-1);
    held.runs =
      owner || last === undefined
        ? [...runs, { start: index, end, gathered: false, parts: [part] }]
        : [...runs.slice(0, -1), changed(last, { end, parts: [...last.parts, part] })];
  },
  'cmdq.filled': (state, { driver, index }) => {
    const held = of(state, driver);
    const fill = (part: Run['parts'][number]) => (part.index === index ? { ...part, filled: true } : part);
    held.runs = (held.runs ?? []).map((run) => ({ ...run, parts: run.parts.map(fill) }));
  },
  'cmdq.gathered': (state, { driver, index }) => {
    const held = of(state, driver);
    held.runs = (held.runs ?? []).map((run) => (run.start === index ? { ...run, gathered: true } : run));
  },
  'cmdq.published': (state, { driver, index }) => {
    const held = of(state, driver);
    held.runs = (held.runs ?? []).filter(({ start }) => start !== index);
  },
  'sync.timedout': (state, { driver, task }) => {
    of(state, driver).timedOut = task;
  },
  'fetch.retried': (state, { driver, cons, count }) => {
    of(state, driver).retried = { cons, count };
  },

  'strtab.placed': (state, { driver, pa, sizeLog2, twoLevel }) => {
    of(state, driver).strtab = { pa, sizeLog2, twoLevel, leaves: {} };
  },
  'strtab.extended': (state, { driver, window, pa }) => {
    present(of(state, driver).strtab, 'stream table').leaves[window] = pa;
  },
  'master.added': (state, { driver, endpoint, master }) => {
    of(state, driver).masters[endpoint] = { ...master, attached: { ...master.attached } };
  },
  'cdtab.placed': (state, { driver, endpoint, table }) => {
    master(state, driver, endpoint).cdTable = { ...table, leaves: { ...table.leaves } };
  },
  'cdtab.extended': (state, { driver, endpoint, window, pa }) => {
    present(master(state, driver, endpoint).cdTable, 'CD table').leaves[window] = pa;
  },
  'cdtab.used': (state, { driver, endpoint, used }) => {
    master(state, driver, endpoint).cdInSte = used;
  },

  'domain.made': (state, { driver, domain, seq }) => {
    const owner = of(state, driver);
    openMap(owner, 'domains').set(seq, { ...domain, id: seq } as Domain);
    if (domain.kind === 's1') {
      openMap(owner, 'asids').set(domain.asid, seq);
      if (domain.asid === owner.asidHint) owner.asidHint += 1;
    }
    if (domain.kind === 's2') {
      openMap(owner, 'vmids').set(domain.vmid, seq);
      if (domain.vmid === owner.vmidHint) owner.vmidHint += 1;
    }
  },
  'domain.freed': (state, { driver, domain: number }) => {
    const owner = of(state, driver);
    const domain = present(owner.domains.get(number), `domain ${number}`);
    openMap(owner, 'domains').delete(number);
    if (domain.kind === 's1') {
      openMap(owner, 'asids').delete(domain.asid);
      owner.asidHint = Math.min(owner.asidHint, domain.asid);
    }
    if (domain.kind === 's2') {
      openMap(owner, 'vmids').delete(domain.vmid);
      owner.vmidHint = Math.min(owner.vmidHint, domain.vmid);
    }
  },
  'domain.finalised': (state, { driver, domain: number, table }) => {
    const owner = of(state, driver);
    const domain = present(owner.domains.get(number), `domain ${number}`);
    openMap(owner, 'domains').set(number, { ...domain, cdTable: table } as Domain);
  },
  'invalidations.changed': (state, { driver, domain: number, invs }) => {
    const owner = of(state, driver);
    const domain = present(owner.domains.get(number), `domain ${number}`);
    openMap(owner, 'domains').set(number, { ...domain, invs } as Domain);
  },
  'master.attached': (state, { driver, endpoint, ssid, to, ats, vmaster }) => {
    const owner = master(state, driver, endpoint);
    owner.attached[ssid] = to;
    owner.atsEnabled = ats;
    if (ssid !== 0) return;
    if (vmaster === undefined) delete owner.vmaster;
    else owner.vmaster = vmaster;
  },
  'pasid.removed': (state, { driver, endpoint, ssid }) => {
    delete master(state, driver, endpoint).attached[ssid];
  },

  'interrupt.taken': (state, { driver, source }) => {
    const owner = of(state, driver);
    owner.interrupts = owner.interrupts.filter((each) => each !== source);
  },
};

/** An interrupt of an SMMU waits for each driver of it, once. */
export const latchInterrupt: Handlers['interrupt.raised'] = (state, { smmu, source }) => {
  if (source === 'CMD_SYNC') return;
  for (const name in state.drivers) {
    const driver = of(state, name);
    if (driver.setup.port.smmu !== smmu || driver.interrupts.includes(source as DriverInterrupt)) continue;
    driver.interrupts = [...driver.interrupts, source as DriverInterrupt];
  }
};

function newDriver(name: string, setup: DriverState['setup']): DriverState {
  return {
    name,
    setup,
    quirks: {},
    running: false,
    queues: {},
    masters: {},
    domains: sealedMap(),
    asids: sealedMap(),
    asidHint: 1,
    vmids: sealedMap(),
    vmidHint: 1,
    interrupts: [],
    timedOut: 0,
    retried: { cons: 0, count: 0 },
  };
}

function of({ drivers }: State, name: string): DriverState {
  return present(drivers[name], `driver ${name}`);
}

function master(state: State, driver: string, endpoint: string): Master {
  return present(of(state, driver).masters[endpoint], `master ${endpoint}`);
}
