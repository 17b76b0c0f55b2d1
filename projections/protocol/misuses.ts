/** What the machine notes of its driver (`misuse.noted`), as broken rules. Notes without a row break none of these. */
import type { Finding } from '../finding.ts';
import { tell } from './tell.ts';
import type { RuleRun, World } from './world.ts';

interface Row {
  readonly rule: 'I7' | 'I10' | 'I11';
  readonly needed: string;
  /** The field that software did not look at. */
  readonly field?: string;
}

// biome-ignore format: a table
export const misuseRules: Readonly<Record<string, Row>> = {
  'queue-inconsistent':          { rule: 'I7',  needed: 'pointers no further apart than the queue is long (IHI 0070 3.5.1)' },
  'prod-moved-back':             { rule: 'I7',  needed: 'CMDQ_PROD moved forward only: what it passed may have been read (3.5.2)' },
  'gerrorn-inactive':            { rule: 'I7',  needed: 'GERRORN toggled for active errors only: write back GERROR as it was read (6.3.20)' },
  'ecmdq-enabled-with-error':    { rule: 'I7',  needed: 'ERRACK made equal to ERR before the queue is enabled (3.5.6.3)' },
  'ecmdq-acknowledged-no-error': { rule: 'I7',  needed: 'ERRACK toggled for an active error only (3.5.6.3)' },
  'command-streamid-range':      { rule: 'I10', field: 'IDR1.SIDSIZE', needed: 'StreamIDs within IDR1.SIDSIZE' },
  'command-substreamid-range':   { rule: 'I10', field: 'IDR1.SSIDSIZE', needed: 'SubstreamIDs within IDR1.SSIDSIZE' },
  'command-no-substreams':       { rule: 'I10', field: 'IDR1.SSIDSIZE', needed: 'SSV=0 where IDR1.SSIDSIZE is 0' },
  'command-asid-8-bit':          { rule: 'I10', field: 'IDR0.ASID16', needed: 'ASIDs of 8 bits where IDR0.ASID16 is 0' },
  'command-vmid-8-bit':          { rule: 'I10', field: 'IDR0.VMID16', needed: 'VMIDs of 8 bits where IDR0.VMID16 is 0' },
  'command-vmid-no-stage-2':     { rule: 'I10', field: 'IDR0.S2P', needed: 'VMID 0 where IDR0.S2P is 0' },
  'address-beyond-oas':          { rule: 'I10', field: 'IDR5.OAS', needed: 'addresses within IDR5.OAS' },
  'resume-no-match':             { rule: 'I11', needed: 'CMD_RESUME once for each stall, with the StreamID and STAG of its record (4.7.1)' },
  'stall-term-live':             { rule: 'I11', needed: 'an STE that aborts, CMD_CFGI_STE and CMD_SYNC before CMD_STALL_TERM (4.7.2)' },
  'pri-resp-unexpected':         { rule: 'I11', needed: 'one CMD_PRI_RESP for each group, with its StreamID and PRGIndex (8.1, 4.5.2)' },
};

/** The notes that break `rule`. */
export function misuses(world: World, rule: Row['rule']): RuleRun {
  const told: Finding[] = [];
  return {
    told: () => told,
    handlers: {
      'misuse.noted': ({ smmu, rule: name, detail, seq }) => {
        const row = Object.hasOwn(misuseRules, name) ? misuseRules[name] : undefined;
        // A virtual SMMU has a driver of its own, in the guest.
        if (row?.rule !== rule || !world.units.has(smmu)) return;
        const { stimulus } = world;
        const actor = stimulus?.type === 'turn' || stimulus === undefined ? 'software' : stimulus.actor;
        told.push(
          tell(world, {
            rule,
            title: `${name}: ${smmu}`,
            actor: smmu,
            blame: { seq, actor, what: detail },
            needed: row.needed,
            ...(row.field === undefined ? {} : { capability: { smmu, field: row.field } }),
          }),
        );
      },
    },
  };
}
