/**
 * I8 across layers: hardware serves the device of a guest as the STE said that its VMM last read. An STE that the guest
 * has changed since, without CMD_CFGI_STE, is as stale as one in a cache of the SMMU that the guest sees (IHI 0070
 * 3.21.3, 4.3.1); with it, the VMM has not done what the command asks. What the guest's tables say now is asked of its
 * SMMU, in guest addresses.
 */
import type { EntryOf } from '../core/event.ts';
import type { Words } from '../core/layout/field.ts';
import { mask } from '../core/layout/layout.ts';
import { addressIn } from '../core/memory/space.ts';
import { STE } from '../core/smmu/ste.ts';
import type { Request } from '../core/smmu/translate.ts';
import type { Assigned, State } from './invalidation-state.ts';
import { type AccessEntry, showAnswer } from './obligations/answers.ts';
import { isUnderWay } from './obligations/commands.ts';
import { configObligations } from './obligations/ledger.ts';
import { lastChange, type Obligation } from './obligations/obligation.ts';
import { type Fresh, freshAnswer, isOn, type Shadow } from './obligations/shadow.ts';
import { steAddress } from './obligations/streams.ts';
import type { Stale } from './obligations/use.ts';
import { deviceAt } from './swallowed.ts';

/** The facts of an access that an STE of before served; undefined: it was right, or the guest owes nothing. */
export function judgeVirtual(
  state: State,
  shadow: Shadow,
  access: AccessEntry,
  request: Request,
): Stale | undefined {
  if (state.guests.size === 0 || shadow.space !== undefined) return undefined;
  const device = deviceAt(state, shadow, access.streamId);
  const guest = device === undefined ? undefined : state.shadows.get(device.smmu);
  if (device === undefined || guest === undefined || !isOn(guest)) return undefined;
  const { streamId, vm, aborts = 0 } = device;
  const owed =
    configObligations(guest.ledger, streamId, access.substreamId ?? 0).find(
      ({ structure, changes: [first] }) => structure === 'STE' && first.seq < access.seq,
    ) ?? paidInVain(state, shadow, access.streamId, guest, device);
  if (owed === undefined || (!owed.done && isUnderWay(guest.commands, owed))) return undefined;
  // What it cannot install, a VMM may let abort: that is its answer to the guest's STE.
  if (access.type === 'access.terminated' && aborts > lastChange(owed).seq) return undefined;
  const fresh = freshAnswer(guest, { ...request, streamId });
  if (access.type === 'access.completed' && isAt(state, vm, access.pa, fresh)) return undefined;
  if (access.type === 'access.terminated' && !isRefusedByOld(shadow, access, request, fresh))
    return undefined;
  return {
    ste: undefined,
    cd: undefined,
    tlb: undefined,
    stale: 'ste',
    now: showAnswer(fresh),
    guilty: [owed],
    readAt: 0,
    survived: undefined,
    shadow: guest,
  };
}

/** What the guest has paid for an STE that hardware does not have: its VMM reads STEs for hardware, and did not. */
function paidInVain(
  { guests }: State,
  shadow: Shadow,
  sid: number,
  guest: Shadow,
  { streamId, plugged }: Assigned,
): Obligation | undefined {
  if (guests.get(guest.space ?? '')?.installs !== true) return undefined;
  const [at, wanted] = [steAddress(shadow.streams, sid), steAddress(guest.streams, streamId)];
  const paid = wanted === undefined ? undefined : guest.ledger.past.get(wanted);
  if (at === undefined || wanted === undefined || paid?.structure !== 'STE') return undefined;
  // What was paid before the device came is nothing that its VMM could have done for it.
  if (lastChange(paid).seq < plugged) return undefined;
  const has = shadow.watch.memory.readWords(at, 16);
  const asked = guest.watch.memory.readWords(wanted, 16);
  return isInstalled(has, asked) ? undefined : paid;
}

const CONFIGS = { S1: 'NESTED', BYPASS: 'S2' } as const;
/** Fields of a guest that hardware gets as they are. */
const S1 = mask(STE, ['S1Fmt', 'S1ContextPtr', 'S1CDMax', 'S1DSS']);

/** Whether hardware has the STE that the guest asks for, behind the stage 2 of its VM. */
function isInstalled(has: Words, asked: Words): boolean {
  const { V, Config } = STE.fields;
  const config = Config.read(asked);
  const wanted = V.read(asked) ? CONFIGS[config as keyof typeof CONFIGS] : undefined;
  const is = V.read(has) ? Config.read(has) : 'ABORT';
  if (wanted === undefined) return is === 'ABORT';
  if (wanted !== is) return false;
  return wanted !== 'NESTED' || S1.every((bits, at) => (((has[at] ?? 0) ^ (asked[at] ?? 0)) & bits) === 0);
}

/** Whether the STE that hardware has refuses what the guest's lets through: what stage 2 refuses is the host's. */
function isRefusedByOld(
  shadow: Shadow,
  { reason }: EntryOf<'access.terminated'>,
  request: Request,
  fresh: Fresh,
): boolean {
  if (fresh.kind !== 'ok') return false;
  if (/^(STE\.Config|C_BAD_STE)/.test(reason)) return true;
  const own = freshAnswer(shadow, request);
  return own.kind === 'refused' && own.fault?.s2 !== true;
}

/** Whether the guest's tables lead to that memory of the machine. */
function isAt({ spaces }: State, vm: string, pa: number, fresh: Fresh): boolean {
  const shown = { spaces: { [vm]: spaces.get(vm) ?? [] } } as Parameters<typeof addressIn>[0];
  return fresh.kind === 'ok' && addressIn(shown, vm, pa) === fresh.pa;
}
