/** `caps diff A B` of two profiles: the ledgers of two runs that differ in a kernel, a VMM or a part alone. */
import { isKernelProfile } from '../../core/kernel/profiles.ts';
import { isProfileName } from '../../core/smmu/profiles.ts';
import { isVmmProfile } from '../../core/vmm/profiles.ts';
import { cellChanges, keyOf } from '../../projections/caps/changes.ts';
import type { LedgerRow } from '../../projections/caps/row.ts';
import { begin, rowsOf, type Setup } from '../caps-run.ts';
import { InputError } from '../input-error.ts';
import { type CapsDifference, differenceJson, differenceLine } from './caps-text.ts';
import { type ExitCode, exitCodes, type Io, printAll } from './io.ts';

type Kind = 'kernel' | 'VMM' | 'hardware';

/** What a word names, and a machine of it; undefined: it is no profile. */
function profileOf(name: string): { readonly kind: Kind; readonly setup: Setup } | undefined {
  if (isVmmProfile(name)) return { kind: 'VMM', setup: { vmm: name } };
  if (isProfileName(name)) return { kind: 'hardware', setup: { hardware: name } };
  return isKernelProfile(name) ? { kind: 'kernel', setup: { kernel: name } } : undefined;
}

/** Whether a word is the name of a profile. */
export function isProfile(name: string | undefined): name is string {
  return name !== undefined && profileOf(name) !== undefined;
}

/** What differs between the ledgers of two profiles of one kind; exit 1 where something does. */
export async function diffProfiles(
  io: Io,
  json: boolean,
  a: string,
  b: string | undefined,
): Promise<ExitCode> {
  const [one, other] = [profileOf(a), profileOf(b ?? '')];
  if (one === undefined || other === undefined || one.kind !== other.kind)
    throw new InputError(
      `caps diff: expected two profiles of a kind, or two positions, found ${a} (${one?.kind ?? 'none'}) and ${b ?? 'nothing'}${other === undefined ? '' : ` (${other.kind})`}`,
    );
  const differences = [...between(keyed(one.setup), keyed(other.setup), [a, b ?? ''])];
  await printAll(
    io,
    differences.map((each) => (json ? JSON.stringify(differenceJson(each)) : differenceLine(each, io.width))),
  );
  return differences.length === 0 ? exitCodes.clean : exitCodes.found;
}

const keyed = (setup: Setup): ReadonlyMap<string, LedgerRow> =>
  new Map(rowsOf(begin(setup)).map((row) => [keyOf(row), row]));

function* between(
  before: ReadonlyMap<string, LedgerRow>,
  after: ReadonlyMap<string, LedgerRow>,
  [a, b]: readonly [string, string],
): Generator<CapsDifference> {
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [from, to] = [before.get(key), after.get(key)];
    const row = to ?? from;
    if (row === undefined) continue;
    for (const change of cellChanges(from, to)) {
      const name = change.to === undefined ? a : b;
      yield { row, change, position: `${name}@${(change.to ?? change.from)?.seq ?? 0}` };
    }
  }
}
