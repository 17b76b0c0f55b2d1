/** How the facts of address spaces evolve the state. */
import type { Handlers } from '../machine.ts';
import type { mmEvents } from './events.ts';
import { mmOf } from './state.ts';

const nothing = (): void => {};

export const mmHandlers: Pick<Handlers, keyof typeof mmEvents> = {
  'mm.made': (state, { mm, name, owner, driver, asid, table }) => {
    const made = { name, owner, driver, asid, table, exited: false, pasid: 0, notifiers: [], bonds: [] };
    state.mms = { ...state.mms, [mm]: made };
  },
  'mm.changing': nothing,
  'mm.settled': nothing,
  'mm.notified': nothing,
  'mm.exited': (state, { mm }) => {
    mmOf(state, mm).exited = true;
  },
  'mm.gone': (state, { mm }) => {
    delete state.mms?.[mm];
  },
  'notifier.added': (state, { mm, domain }) => {
    const of = mmOf(state, mm);
    of.notifiers = [domain, ...of.notifiers];
  },
  'notifier.removed': (state, { mm, domain }) => {
    const of = mmOf(state, mm);
    of.notifiers = of.notifiers.filter((each) => each !== domain);
  },
  'sva.bound': (state, { mm, driver, endpoint, ssid, domain, users }) => {
    const of = mmOf(state, mm);
    const others = of.bonds.filter((bond) => bond.driver !== driver || bond.endpoint !== endpoint);
    of.bonds = [...others, { driver, endpoint, domain, users }];
    of.pasid = ssid;
  },
  'sva.unbound': (state, { mm, driver, endpoint, users }) => {
    const of = mmOf(state, mm);
    of.bonds = of.bonds.flatMap((bond) => {
      if (bond.driver !== driver || bond.endpoint !== endpoint) return [bond];
      return users === 0 ? [] : [{ ...bond, users }];
    });
  },
};
