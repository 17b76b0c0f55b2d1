/** What address spaces state about themselves; stores, pages and commands are events of those. */
import { int, iova, json, seq, text } from '../schema.ts';
import type { Mm } from './state.ts';

/** Key of the address space. */
const mm = text();
/** Seq of the domain's `domain.made`. */
const domain = seq();
const driver = text();
const endpoint = text('endpoint');

export const mmEvents = {
  /** A process is named for the first time. */
  'mm.made': { mm, name: text(), owner: text(), driver, asid: int(), table: json<Mm['table']>() },
  /** Valid descriptors of a range, or the CDs that lead to them (bytes 0), are about to change; nobody relies on that before `mm.settled`. */
  'mm.changing': { mm, va: iova(), bytes: int() },
  /** All have been told, and what was taken out of the tables can go. */
  'mm.settled': { mm },
  /** Its descriptors changed: who walks them beside the CPUs is told of the range. */
  'mm.notified': { mm, va: iova(), bytes: int() },
  /** The process goes: nobody is told of its changes any more. */
  'mm.exited': { mm },
  /** Its root is given back: no device is bound any more. */
  'mm.gone': { mm },

  /** A driver is told of the changes from now on, for a domain; or is told no more. */
  'notifier.added': { mm, domain },
  'notifier.removed': { mm, domain },
  /** A device has the address space under a SubstreamID; `users` counts the binds. */
  'sva.bound': { mm, driver, endpoint, ssid: int(), domain, users: int() },
  'sva.unbound': { mm, driver, endpoint, users: int() },
} as const;
