/**
 * What a guest was told, relied on, and did not get: the leaks of the ledger of capabilities that a use has proved. Of
 * machines with a kernel: without one there is nobody between hardware and software.
 */
import type { Entry, EntryType } from '../../core/event.ts';
import { type Chains, isBare, newChains } from '../caps/chain.ts';
import { ledgerHandlers } from '../caps/fold.ts';
import { rowsOf } from '../caps/ledger.ts';
import { type LedgerRow, numberIn } from '../caps/row.ts';
import { judge } from '../caps/verdict.ts';
import type { Finding } from '../finding.ts';
import { tell } from './tell.ts';
import type { RuleHandlers, RuleRun, World } from './world.ts';

/** Fields without which something that is gone can be reached still. */
const ISOLATING: ReadonlySet<string> = new Set(['IDR0.BTM', 'IDR0.ATS', 'IDR3.RIL']);

/** Entries that are most of a log, and say nothing of a promise before there is a VM. */
const MANY: ReadonlySet<string> = new Set(['command.fetched', 'command.rejected', 'structure.fetched']);

type Handler = (state: Chains, entry: Entry) => void;

/** A run over all guests. */
export function promises(world: World): RuleRun {
  if (world.machine.kernel == null) return { told: () => [], handlers: {} };
  const chains = newChains(world.machine);
  const handlers = Object.entries(ledgerHandlers).map(
    ([type, handler]): readonly [EntryType, (entry: Entry) => void] => [
      type as EntryType,
      MANY.has(type)
        ? (entry) => {
            if (!isBare(chains)) (handler as Handler)(chains, entry);
          }
        : (entry) => (handler as Handler)(chains, entry),
    ],
  );
  return {
    told: () => rowsOf(chains).flatMap((row) => notKept(world, row)),
    handlers: Object.fromEntries(handlers) as RuleHandlers,
  };
}

function notKept(world: World, row: LedgerRow): readonly Finding[] {
  const { field, smmu, vm, failed, backed, cells, decision } = row;
  if (vm === '' || failed === undefined || judge(row).verdict !== 'leak') return [];
  const told = numberIn(cells.guest) ?? 0;
  const by = { seq: cells.guest?.seq ?? failed.seq, actor: vm };
  return [
    tell(world, {
      rule: 'I10',
      seq: failed.seq,
      title: `promise-not-kept: ${field}=${told} of ${smmu}`,
      actor: vm,
      consequence: ISOLATING.has(field) ? 'isolation' : 'availability',
      blame: {
        ...by,
        what: `its guest is told ${field}=${told}, and ${backed} stands behind it (${decision})`,
      },
      needed: `${field}=${backed} for the guest, or what makes it work`,
      nearest: { seq: failed.seq, why: `${failed.by}: ${failed.value}` },
      capability: { smmu, field },
    }),
  ];
}
