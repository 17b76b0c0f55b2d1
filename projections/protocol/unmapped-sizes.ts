/**
 * The size that an unmapping's helper answers is no more than it was asked to remove, and does not carry its caller
 * beyond the address space (linux: io-pgtable-arm.c, __arm_lpae_unmap; drivers/iommu/iommu.c, __iommu_unmap). More is
 * an errno in an unsigned type.
 */
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { deed, tell } from './tell.ts';
import type { RuleRun, World } from './world.ts';

/** A run over all drivers. */
export function unmappedSizes(world: World): RuleRun {
  const told: Finding[] = [];
  return {
    told: () => told,
    handlers: {
      'unmap.stopped': (entry) => {
        const { driver, iova, asked, answered } = entry;
        if (answered <= BigInt(asked)) return;
        const next = BigInt.asUintN(64, iova + answered);
        const wraps = next < iova ? ', and wraps' : '';
        told.push(
          tell(world, {
            rule: 'I3',
            title: `unmapped-more-than-asked: at ${hex(iova)}`,
            blame: deed(
              entry,
              `the helper of ${driver} answered ${hex(answered)} for ${hex(asked)} bytes at ${hex(iova)}`,
            ),
            needed: '0 where nothing is mapped: the caller stops, and what was done so far is invalidated',
            notes: [`whoever called goes on at ${hex(next)}${wraps}`],
          }),
        );
      },
    },
  };
}
