/**
 * The analysis of a field in steps: may a guest be told of it? (1) does it need software of the kernel, (2) data of
 * firmware, (3) a request for each VM; (4) else the report may be read, where the kernel's documentation lists the
 * field; (5) the VMM serves it; (6) it is looked at again when a device is plugged.
 */
import type { FieldFacts } from './fields.ts';

export interface Step {
  readonly step: number;
  readonly question: string;
  readonly answer: string;
  /** The analysis ends here: not to be told of. */
  readonly stops: boolean;
}

/** Flags by which a kernel says that it does its part. Of the others no kernel says anything yet. */
const KERNEL_SAYS: Readonly<Record<string, string>> = {
  'IDR0.ATS': 'hw_info PCI_ATS_NOT_SUPPORTED is 0, and EATS of the vSTE is taken',
  'IDR0.COHACC': 'VFIO binds coherent devices only',
};

/** Switches of a kernel that does its part for what no release of Linux serves. */
const SWITCHES: Readonly<Record<string, string>> = { 'IDR0.BTM': 'vbtm', 'IDR0.HTTU': 'vhttu' };

/**
 * The steps for a field, up to the one that stops it.
 * @param serves the kernel at hand does its part, though no release of Linux does
 */
export function stepsOf(name: string, facts: FieldFacts, serves = false): readonly Step[] {
  const done = serves && SWITCHES[name] !== undefined;
  const says = done ? `yes, and this kernel does it (${SWITCHES[name]})` : KERNEL_SAYS[name];
  const needs = (need: 'software' | 'firmware' | 'request'): boolean => facts.needs.includes(need);
  const no = 'no';
  const bit = says ?? 'yes, and no capability bit of the kernel says that it is done';
  const flag = says ?? 'yes, and IOMMU_VIOMMU_ALLOC has no flag for it';
  const all: readonly Step[] = [
    { step: 1, question: 'needs software of the kernel', ...told(needs('software'), bit, says) },
    { step: 2, question: 'depends on data of firmware', ...told(needs('firmware'), bit, says) },
    { step: 3, question: 'is switched on for each VM', ...told(needs('request'), flag, says) },
    { step: 4, question: 'may be read from the report', ...readable(facts) },
    {
      step: 5,
      question: 'the VMM serves it',
      answer: facts.backing === 'vmm' ? `alone: ${facts.note}` : 'with what the kernel does',
      stops: false,
    },
    {
      step: 6,
      question: 'is looked at when a device is plugged',
      answer: 'a host without it: refuse',
      stops: false,
    },
  ];
  const end = all.findIndex(({ stops }) => stops);
  return end < 0 ? all : all.slice(0, end + 1);

  function told(needed: boolean, answer: string, good: string | undefined): Pick<Step, 'answer' | 'stops'> {
    return needed ? { answer, stops: good === undefined } : { answer: no, stops: false };
  }
}

function readable({ listed, needs, backing }: FieldFacts): Pick<Step, 'answer' | 'stops'> {
  if (backing === 'vmm') return { answer: "not asked: the VMM's own", stops: false };
  if (needs.length > 0) return { answer: 'the register alone is no evidence', stops: false };
  if (listed === false) return { answer: 'not in the documented list', stops: false };
  return { answer: listed === true ? 'yes, in the documented list' : `yes, from ${listed} on`, stops: false };
}

/** What the analysis says a guest may be told. */
export function outcomeOf(name: string, facts: FieldFacts, serves = false): string {
  const last = stepsOf(name, facts, serves).at(-1);
  if (last?.stops === true) return `stopped at step ${last.step}: a guest is told 0`;
  if (facts.backing === 'vmm') return "the VMM's choice";
  return 'a guest may be told what the host has, or less';
}
