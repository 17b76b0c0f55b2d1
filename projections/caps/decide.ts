/** What a VMM does with a field, and in which step of the analysis that is decided: from its policies and properties. */
import { checks, followsHost } from '../../core/vmm/idr.ts';
import { policiesOf } from '../../core/vmm/profiles.ts';
import type { Vm } from './chain.ts';
import type { FieldFacts, Need } from './fields.ts';
import type { Decision } from './row.ts';

const PROPERTIES: Readonly<Record<string, 'ril' | 'ats' | 'ssidsize' | 'oas'>> = {
  'IDR3.RIL': 'ril',
  'IDR0.ATS': 'ats',
  'IDR1.SSIDSIZE': 'ssidsize',
  'IDR5.OAS': 'oas',
};

/** The step of the analysis that a field stops at, if the kernel says nothing of it. */
// biome-ignore format: a table
const STEPS: Readonly<Record<Need, number>> = { software: 1, firmware: 2, request: 3 };

/** In which step a field is decided: 1 to 4, and 5 for what a VMM does by itself. */
export function stepOf(facts: FieldFacts | undefined): number {
  if (facts === undefined || facts.backing === 'vmm') return 5;
  const [first] = facts.needs;
  return first === undefined ? 4 : STEPS[first];
}

export interface Decided {
  readonly decision: Decision;
  readonly why: string;
}

interface Values {
  readonly guest: number;
  /** What the kernel reports, or hardware has; undefined without either. */
  readonly host: number | undefined;
  /** The report came when the guest ran already. */
  readonly late: boolean;
}

/** What the VMM did with a field of a register. */
export function decisionOf(
  vm: Vm,
  name: string,
  facts: FieldFacts | undefined,
  { guest, host, late }: Values,
): Decided {
  const policies = policiesOf(vm.config);
  const { properties = {} } = vm.config;
  const property = PROPERTIES[name];
  const given = property === undefined ? undefined : properties[property];
  if (host === undefined) return { decision: 'emulate', why: 'no host behind it' };
  if (given !== undefined && given !== 'auto') return { decision: 'opt-in', why: `property ${property}` };
  const follows = given === 'auto' || followsHost(policies.ids, name);
  if (follows && late) return { decision: 'freeze', why: 'the guest ran already' };
  if (given === 'auto') return { decision: 'forward', why: `property ${property}=auto` };
  if (follows) return { decision: 'forward', why: `policy ids=${policies.ids}` };
  if (facts?.backing === 'vmm') return { decision: 'emulate', why: 'own value' };
  if (guest === 0 && (host !== 0 || facts?.backing === 'never'))
    return { decision: 'mask', why: whyMasked(facts) };
  if (name === 'IDR0.BTM' && guest !== 0 && policies.btm === 'linked')
    return { decision: 'opt-in', why: "policy btm=linked: asked for, and KVM's VMID pinned" };
  if (name === 'IDR0.HTTU' && guest !== 0 && policies.httu === 'confirmed')
    return { decision: 'require', why: 'policy httu=confirmed: the kernel says that it works' };
  if (facts?.backing === 'never' && guest !== 0)
    return { decision: 'forward', why: guest === host ? 'as the host has it' : 'own value' };
  const check = checks[policies.checks].find(({ register, field }) => `${register}.${field}` === name);
  if (check !== undefined) return { decision: 'require', why: `host ${check.must}, policy checks` };
  return { decision: 'emulate', why: 'own value, not compared' };
}

function whyMasked(facts: FieldFacts | undefined): string {
  if (facts === undefined) return 'not known';
  const [first] = facts.needs;
  if (first !== undefined) return `step ${STEPS[first]}: needs ${first}`;
  return facts.listed === false ? 'not in the list' : "the VMM's choice";
}
