/**
 * Invalidation arrays (linux: struct arm_smmu_invs, arm_smmu_domain_inv_range): what of hardware may hold
 * something of a domain, in the order it is invalidated. A CMD_SYNC stands before the first entry that needs
 * what comes before it to be done: guests' stage 1 after stage 2, ATCs after TLBs.
 */
import type { Frame, FrameRow } from '../tasks/task.ts';
import { issueAndSync } from './cmdq.ts';
import { type Cmd, cmdOf } from './commands.ts';
import { findPaging } from './domains.ts';
import { maskCommands } from './map-command.ts';
import { atcCommand, isTooBig, type Range, rangeCommands } from './ranges.ts';
import { behavioursOf } from './releases.ts';
import type { DriverState, Inv, InvType, Master, PagingDomain } from './state.ts';
import type { RangeFrame } from './table-unmap.ts';
import { namesOf, tagOf } from './tags.ts';

// biome-ignore format: a table
const ORDER: Readonly<Record<InvType, number>> = { S1_ASID: 0, S2_VMID: 1, S2_VMID_S1_CLEAR: 2, ATS: 3, ATS_FULL: 4 };

const isAts = ({ type }: Inv): boolean => type === 'ATS' || type === 'ATS_FULL';

/** What an endpoint's attachment adds to the array of the domain. @param ats the endpoint has ATS then */
export function invsOf(
  domain: PagingDomain,
  { streams }: Master,
  ssid: number,
  ats: boolean,
): readonly Inv[] {
  const invs: Inv[] = [];
  const add = (type: InvType, id: number, of = 0): void => {
    invs.push({ type, id, ssid: of, users: 1 });
  };
  const nestParent = domain.kind === 's2' && domain.nestParent;
  if (domain.kind === 's1') add('S1_ASID', domain.asid);
  else add('S2_VMID', domain.vmid);
  if (domain.kind === 's2' && nestParent) add('S2_VMID_S1_CLEAR', domain.vmid);
  if (ats) for (const sid of streams) add(nestParent ? 'ATS_FULL' : 'ATS', sid, nestParent ? 0 : ssid);
  return invs;
}

function compare(a: Inv, b: Inv): number {
  return ORDER[a.type] - ORDER[b.type] || a.id - b.id || a.ssid - b.ssid;
}

/** The array with further users. */
export function mergeInvs(held: readonly Inv[], more: readonly Inv[]): readonly Inv[] {
  return combine(held, more, 1);
}

/** The array with fewer users; entries without any are gone. */
export function unrefInvs(held: readonly Inv[], less: readonly Inv[]): readonly Inv[] {
  return combine(held, less, -1).filter(({ users }) => users > 0);
}

function combine(held: readonly Inv[], others: readonly Inv[], sign: 1 | -1): readonly Inv[] {
  const all = [...held];
  for (const inv of others) {
    const at = all.findIndex((each) => compare(each, inv) === 0);
    const same = all[at];
    if (same !== undefined) all[at] = { ...same, users: same.users + sign * inv.users };
    else if (sign === 1) all.push(inv);
  }
  return all.sort(compare);
}

/** Frames that invalidate a range of a domain; size 0 for everything. */
export function invalidate(
  driver: DriverState,
  domain: PagingDomain,
  range: Range,
  noAtc = false,
): readonly Frame[] {
  const { rangeInv = false, e2h = false } = driver.features ?? {};
  const { granuleLog2 } = domain.table;
  const { quirks, name } = driver;
  const short = quirks['short-range'] === true && range.size > 0;
  const meant = short ? { ...range, size: range.size - Math.min(range.granule, range.size) } : range;
  const invs = domain.invs.filter(
    (inv) =>
      !(quirks['skip-nested-clear'] === true && inv.type === 'S2_VMID_S1_CLEAR') && !(noAtc && isAts(inv)),
  );
  const big = isTooBig(range, rangeInv, behavioursOf(driver).manyLeaves);
  const frames: Frame[] = [];
  let batch: Cmd[] = [];
  for (const [at, inv] of invs.entries()) {
    const names = namesOf(inv.type, e2h);
    const tag = tagOf(inv, e2h);
    if (inv.type === 'ATS') batch.push(atcCommand(inv.id, inv.ssid, meant));
    else if (inv.type === 'ATS_FULL') batch.push(atcCommand(inv.id, 0, { iova: 0, size: 0 }));
    else if (inv.type === 'S2_VMID_S1_CLEAR') {
      // What invalidates all of the VMID did this too.
      if (!big) batch.push(cmdOf('CMD_TLBI_NH_ALL', { VMID: inv.id }));
    } else if (big) frames.push(issueAndSync(name, [cmdOf(names.all, tag as never)]));
    else if (driver.setup.platform.tlbiOnMap === 'mask' && inv.type === 'S1_ASID')
      batch.push(...maskCommands(inv.id, meant));
    else batch.push(...rangeCommands(names.ranged, tag, meant, { rangeInv, granuleLog2 }));
    const next = invs[at + 1];
    if (batch.length === 0 || (next !== undefined && !endsBatch(driver, inv, next))) continue;
    frames.push(issueAndSync(name, batch));
    batch = [];
  }
  return frames;
}

function endsBatch({ quirks }: DriverState, now: Inv, next: Inv): boolean {
  if (now.type !== 'S2_VMID_S1_CLEAR' && next.type === 'S2_VMID_S1_CLEAR') return true;
  return !isAts(now) && isAts(next) && quirks['atc-before-sync'] !== true;
}

export const rangeRow: FrameRow<RangeFrame> = {
  run: ({ state }, { domain: id, iova, size, granule, leaf, noAtc }) => {
    const { driver, domain } = findPaging(state, id);
    return invalidate(driver, domain, { iova, size, granule, leaf }, noAtc);
  },
};
