/**
 * Policies that people argue for, as data: each says of a row whether it keeps to it. What the documentation of the
 * report lets a VMM read; "the VMM masks": a guest is told of nothing else; "the kernel sanitises": the report holds
 * nothing that does not work. Sources: linux iommufd.h, iommu_hw_info_arm_smmuv3; mails of 2024-11-04 and 2024-11-06.
 */
import { type LedgerRow, numberIn } from './row.ts';

export interface NamedPolicy {
  readonly about: string;
  /** Why a row breaks it; undefined where it does not. */
  breach(row: LedgerRow): string | undefined;
}

/** What is not listed, and every nested HWPT needs. */
const WORKING: ReadonlySet<string> = new Set(['IDR0.S1P', 'IDR0.COHACC']);
/** How a VMM goes by a field of the report. */
const READS: ReadonlySet<string> = new Set(['forward', 'require', 'freeze']);

const isRegister = (field: string): boolean => /^(IDR\d|IIDR|AIDR)[.[]/.test(field);

function isOutside({ field, facts }: LedgerRow): boolean {
  return (
    isRegister(field) && facts?.listed !== true && typeof facts?.listed !== 'string' && !WORKING.has(field)
  );
}

// biome-ignore format: a table
export const namedPolicies = {
  baseline: {
    about: 'a VMM reads the fields that the documentation of the report lists, and no others',
    breach: (row) =>
      isOutside(row) && row.cells.report !== undefined && READS.has(row.decision ?? '')
        ? `${row.decision} by the report, which is not documented for it`
        : undefined },
  'vmm-masks': {
    about: 'a guest is told of listed fields and of what the VMM serves alone; all others are 0',
    breach: (row) => {
      const told = numberIn(row.cells.guest) ?? 0;
      const own = row.facts?.backing === 'vmm' || row.facts?.backing === 'any';
      return row.vm !== '' && isOutside(row) && !own && told !== 0 ? `guest told ${told}, not in the list` : undefined;
    } },
  'kernel-sanitises': {
    about: 'the report holds what works for a VM, and 0 for the rest',
    breach: (row) => {
      const reported = numberIn(row.cells.report) ?? 0;
      const stopped = row.facts?.backing === 'never' || (row.facts?.needs.length ?? 0) > 0;
      const works = stopped ? (row.backed ?? 0) : reported;
      return isRegister(row.field) && row.facts !== undefined && !WORKING.has(row.field) && reported > works
        ? `reported ${reported}, and ${works} works`
        : undefined;
    } },
} as const satisfies Readonly<Record<string, NamedPolicy>>;

export type PolicyName = keyof typeof namedPolicies;

/** Whether there is a policy of that name. */
export function isPolicyName(name: string): name is PolicyName {
  return Object.hasOwn(namedPolicies, name);
}
