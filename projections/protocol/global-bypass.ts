/**
 * The SMMU turned off under devices that do DMA: with GBPA.ABORT=0 an address that was translated until now goes out as
 * it is (IHI 0070 3.11, 6.3.9.6). Nothing was changed of the stream itself (I8).
 */
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { byWriter, type Deed, tell } from './tell.ts';
import type { RuleRun, World } from './world.ts';

interface Off {
  readonly by: Deed;
  /** Streams that were told of. */
  readonly told: Set<number>;
}

/** A run over all SMMUs. */
export function globalBypass(world: World): RuleRun {
  const told: Finding[] = [];
  /** By SMMU: StreamIDs of accesses that were translated. */
  const translated = new Map<string, Set<number>>();
  const off = new Map<string, Off>();
  for (const name of world.units.keys()) translated.set(name, new Set());
  return {
    told: () => told,
    handlers: {
      'register.written': (entry) => {
        if (entry.register !== 'CR0' || ((entry.value ^ entry.old) & 1n) === 0n) return;
        if ((entry.value & 1n) === 1n) off.delete(entry.smmu);
        else off.set(entry.smmu, { by: byWriter(world, entry, 'CR0.SMMUEN 1 -> 0'), told: new Set() });
      },
      'access.completed': ({ smmu, streamId, via, ste, iova, pa, endpoint, access, seq }) => {
        const streams = translated.get(smmu);
        if (streams === undefined) return;
        if (via === 'hit' || via === 'walk') {
          if (!streams.has(streamId)) streams.add(streamId);
          return;
        }
        const now = via === 'bypass' && ste === 0 ? off.get(smmu) : undefined;
        if (now === undefined || now.told.has(streamId) || !streams.has(streamId)) return;
        now.told.add(streamId);
        told.push(
          tell(world, {
            rule: 'I8',
            seq,
            title: `bypassed-with-the-smmu-off: DMA ${access} by ${endpoint} at ${hex(iova)} went to PA ${hex(pa)}`,
            actor: endpoint,
            consequence: 'isolation',
            blame: now.by,
            needed:
              'the stream table left in force and streams turned off one by one, or GBPA.ABORT=1 before SMMUEN=0',
            notes: ['its accesses were translated before, and nobody changed its STE'],
          }),
        );
      },
    },
  };
}
