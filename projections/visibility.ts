/**
 * I5, order of visibility: contents before pointer before valid bit; a change of a valid structure is seen as the old
 * or the new one; TLBs are clean before the ATCs that could be filled from them (IHI 0070 3.21.3, 3.9.1, 4.5.1).
 * Commands that are published before they are stored are told by the slots of the queue. Beside these, what is seen
 * of a stream's configuration that nobody gave it: a needless gap, an SMMU turned off (I8).
 */
import { atcOrder } from './protocol/atc-order.ts';
import { globalBypass } from './protocol/global-bypass.ts';
import { lateContents } from './protocol/late-contents.ts';
import { tornUpdates } from './protocol/torn-updates.ts';
import { unreadVstes } from './protocol/unread-vstes.ts';
import type { LogRule } from './protocol/world.ts';

export const visibility: LogRule = {
  rule: 'I5',
  name: 'order-of-visibility',
  finds: 'pointers before contents, structures seen half changed, ATCs invalidated before TLBs',
  start: (world) => [
    lateContents(world),
    tornUpdates(world),
    atcOrder(world),
    globalBypass(world),
    unreadVstes(world),
  ],
  guests: (world) => [lateContents(world), tornUpdates(world), atcOrder(world)],
};
