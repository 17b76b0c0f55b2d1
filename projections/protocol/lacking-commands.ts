/** Commands, and fields of commands, of features that the SMMU does not have (IHI 0070 4.1.3, 4.4.1.1, 4.7.3). */

import type { EntryOf } from '../../core/event.ts';
import { decode } from '../../core/layout/layout.ts';
import { quad } from '../../core/layout/words.ts';
import { commandLayouts } from '../../core/smmu/command-layout.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { knownFrom } from './id-reads.ts';

import { deed, tell } from './tell.ts';
import type { RuleRun, Unit, World } from './world.ts';

const RANGED = /^CMD_TLBI_(NH_VAA?|EL2_VAA?|S2_IPA)$/;

/** Of a queue with few kinds of commands, as hardware says it (linux: tegra241_guest_vcmdq_supports_cmd). */
const NOT_TAKEN = 'a queue of a guest does not take';

/** A run over all queues. */
export function lackingCommands(world: World): RuleRun {
  const told: Finding[] = [];
  /** Queues, each told once. */
  const notTakenBy = new Set<string>();
  return {
    told: () => told,
    handlers: {
      'command.rejected': (entry) => {
        const unit = world.units.get(entry.smmu);
        const queue = `${entry.smmu} ${entry.queue}`;
        if (entry.why.startsWith(NOT_TAKEN) && !notTakenBy.has(queue)) {
          notTakenBy.add(queue);
          told.push(notTaken(world, entry));
        }
        if (unit !== undefined) told.push(...notOffered(world, unit, entry));
      },
      'command.fetched': ({ smmu, command, lo, hi, seq, actor }) => {
        const unit = world.units.get(smmu);
        if (unit === undefined) return;
        const { ril, msi } = unit.features;
        if (!ril && RANGED.test(command)) {
          const { TG, NUM, SCALE } = decode(commandLayouts.CMD_TLBI_NH_VA.layout, quad(lo, hi));
          if (TG === 'NONE' && NUM === 0 && SCALE === 0) return;
          told.push(
            tell(world, {
              rule: 'I10',
              title: `range-not-offered: ${command} on ${smmu} without IDR3.RIL`,
              consequence: 'isolation',
              blame: deed(
                { seq, actor },
                `${command} with TG=${TG} SCALE=${SCALE} NUM=${NUM}: one page of 4 KiB`,
              ),
              needed: 'one command for each page, or for the whole ASID or VMID',
              notes: [knownFrom(world, unit, 'IDR3.RIL')],
              capability: { smmu, field: 'IDR3.RIL' },
              lost: [seq],
            }),
          );
        } else if (!msi && command === 'CMD_SYNC') {
          const { CS, MSIAddress } = decode(commandLayouts.CMD_SYNC.layout, quad(lo, hi));
          if (CS !== 'SIG_IRQ' || MSIAddress === 0n) return;
          told.push(
            tell(world, {
              rule: 'I10',
              title: `msi-not-offered: CMD_SYNC on ${smmu} without IDR0.MSI`,
              blame: deed(
                { seq, actor },
                `CMD_SYNC with MSIAddress ${hex(MSIAddress)}: nothing will be stored there`,
              ),
              needed: 'CMDQ_CONS polled, or CS=SIG_SEV where IDR0.SEV is 1',
              notes: [knownFrom(world, unit, 'IDR0.MSI')],
              capability: { smmu, field: 'IDR0.MSI' },
            }),
          );
        }
      },
    },
  };
}

/** A command that is illegal for want of a feature: `core/smmu/command.ts` names the field, IDR0.ATS=0 or in brackets. */
function notOffered(world: World, unit: Unit, entry: EntryOf<'command.rejected'>): readonly Finding[] {
  const { command, smmu, why, error } = entry;
  const field = /(IDR\d\.\w+)\)?=0$/.exec(why)?.[1];
  if (field === undefined || error !== 'CERROR_ILL') return [];
  return [
    tell(world, {
      rule: 'I10',
      title: `command-not-offered: ${command} on ${smmu} without ${field}`,
      actor: 'software',
      blame: deed(entry, `${command}: ${why}, CERROR_ILL`),
      needed: `${field} read, and ${command} left out where it is not offered`,
      notes: [knownFrom(world, unit, field)],
      capability: { smmu, field },
    }),
  ];
}

function notTaken(world: World, entry: EntryOf<'command.rejected'>): Finding {
  const { command, queue = 'CMDQ', smmu } = entry;
  return tell(world, {
    rule: 'I10',
    title: `command-not-taken: ${command} on ${queue} of ${smmu}, a queue for a guest`,
    actor: 'software',
    blame: deed(entry, `${command}: ${entry.why}, ${entry.error}`),
    needed: `${command} in the main Command queue`,
    // What a guest knows of its queues stands there.
    capability: { smmu, field: 'IDR1.CMDQS' },
  });
}
