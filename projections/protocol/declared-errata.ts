/**
 * What the declared part cannot do though the architecture lets software use it: runs of different invalidations
 * without a CMD_SYNC (MMU-700 2812531), the wake-up when a full queue has room again (MMU-600 1076982).
 */
import { isFull } from '../../core/smmu/queue.ts';
import { reg } from '../../core/smmu/regs.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { type Deed, deed, tell } from './tell.ts';
import { type RuleRun, ringOf, type Unit, type World } from './world.ts';

interface Part {
  readonly unit: Unit;
  readonly mixedRuns: boolean;
  readonly noWakeUp: boolean;
  /** The last invalidation of each queue since its last CMD_SYNC. */
  readonly last: Map<string, string>;
  /** Room came, and no wake-up: until software looks. */
  asleep: Deed | undefined;
}

const INVALIDATION = /^CMD_(TLBI|CFGI|ATC_INV)/;

interface Mixed {
  readonly by: Deed;
  readonly part: Part;
  readonly before: string;
  readonly command: string;
  readonly about: number[];
}

/** A run over all SMMUs. */
export function declaredErrata(world: World): RuleRun {
  const parts = new Map<string, Part>();
  for (const { name, choices } of world.machine.smmus) {
    const unit = world.units.get(name);
    if (unit === undefined) continue;
    const mixedRuns = choices['erratumMixedRuns'] === true;
    const noWakeUp = choices['erratumFullQueueSev'] === true && unit.features.sev;
    if (mixedRuns || noWakeUp)
      parts.set(name, { unit, mixedRuns, noWakeUp, last: new Map(), asleep: undefined });
  }
  const mixed: Mixed[] = [];
  if (parts.size === 0) return { told: () => [], handlers: {} };
  return {
    told: () => [
      ...mixed.map((each) => tellMixed(world, each)),
      ...[...parts.values()].flatMap((part) => tellAsleep(world, part)),
    ],
    handlers: {
      'command.consumed': (entry) => {
        const part = parts.get(entry.smmu);
        const { queue = 'CMDQ', command, fetched } = entry;
        if (part === undefined || !part.mixedRuns) return;
        if (command === 'CMD_SYNC') part.last.delete(queue);
        if (!INVALIDATION.test(command)) return;
        const before = part.last.get(queue);
        part.last.set(queue, command);
        if (before === undefined || before === command) return;
        const by = deed(entry, `${command} after ${before}, with no CMD_SYNC between`);
        mixed.push({ by, part, before, command, about: [fetched, entry.seq] });
      },
      'command.performed': ({ fetched, seq }) => {
        const last = mixed[mixed.length - 1];
        if (last?.about[0] === fetched) last.about.push(seq);
      },
      'register.updated': (entry) => {
        const part = parts.get(entry.smmu);
        if (part === undefined || !part.noWakeUp || entry.register !== 'CMDQ_CONS') return;
        const ring = ringOf(part.unit, 'CMDQ');
        const prod = reg(part.unit.bare, 'CMDQ_PROD');
        if (!isFull(ring, prod, Number(entry.old)) || isFull(ring, prod, Number(entry.value))) return;
        part.asleep ??= deed(
          entry,
          `CMDQ_CONS ${hex(entry.old)} -> ${hex(entry.value)}: room, and no wake-up`,
        );
      },
      'event.sent': ({ smmu, source }) => {
        const part = parts.get(smmu);
        if (part !== undefined && source === 'CMDQ') part.asleep = undefined;
      },
      'register.read': ({ smmu, register }) => looked(parts, smmu, register),
      'register.written': ({ smmu, register }) => looked(parts, smmu, register),
    },
  };
}

function looked(parts: ReadonlyMap<string, Part>, smmu: string, register: string): void {
  const part = parts.get(smmu);
  if (part !== undefined && /^CMDQ_(CONS|PROD)$/.test(register)) part.asleep = undefined;
}

function tellMixed(world: World, { by, part, before, command, about }: Mixed): Finding {
  return tell(world, {
    rule: 'I10',
    title: `mixed-run: ${command} after ${before} on ${part.unit.name}, whose part forbids it`,
    consequence: 'isolation',
    blame: by,
    needed: 'CMD_SYNC at the end of each run of one kind, and of each piece of a batch that is published',
    notes: ['the part is declared with erratumMixedRuns: its commands may be consumed without effect'],
    lost: about,
    // What a part cannot do, it says by its name alone.
    capability: { smmu: part.unit.name, field: 'IIDR.ProductID' },
  });
}

function tellAsleep(world: World, { unit, asleep }: Part): readonly Finding[] {
  if (asleep === undefined) return [];
  return [
    tell(world, {
      rule: 'I10',
      title: `no-wake-up: ${unit.name}.cmdq has room, and nobody looks`,
      blame: asleep,
      needed: 'CMDQ_CONS polled: this part offers IDR0.SEV and sends no event (MMU-600 erratum 1076982)',
      notes: ['whoever waits with WFE for room in the queue sleeps on'],
      capability: { smmu: unit.name, field: 'IDR0.SEV' },
    }),
  ];
}
