/** `help vmms`: VMM profiles, the policies in which they differ and their quirks, from their tables. */
import {
  type PolicyName,
  policies,
  policiesOf,
  type VmmProfile,
  type VmmProfileName,
  vmmProfiles,
} from '../../core/vmm/profiles.ts';
import { type VmmQuirk, vmmQuirks } from '../../core/vmm/quirks.ts';

/** Where the second column begins. */
const INDENT = 26;

/** Every profile with its source, every policy with its values and who has which, every quirk. */
export function vmmsHelp(): string[] {
  return [
    'Profiles of a VM: {"op":"vm.create","vm":"vm0","profile":"openvmm"}.',
    '',
    ...profileNames().flatMap((name) => {
      const { about, source }: VmmProfile = vmmProfiles[name];
      return [row(name, about), row('', `(${source})`)];
    }),
    '',
    'Policies, which a profile sets and a vm.create line may change:',
    '',
    ...(Object.keys(policies) as PolicyName[]).flatMap((name) => [
      row(name, policies[name].meaning),
      ...policies[name].values.map((value) => row('', `${value}: ${havers(name, value).join(', ') || '-'}`)),
    ]),
    '',
    'Quirks, deliberate faults: {"op":"set","path":"vm0.quirks.NAME","value":true}:',
    '',
    ...Object.entries(vmmQuirks as Readonly<Record<string, VmmQuirk>>).map(([name, { meaning }]) =>
      row(name, meaning),
    ),
  ];
}

/** One object for each profile, with the values of its policies and the ID registers that it composes. */
export function vmmRows(): object[] {
  return profileNames().map((profile) => {
    const { about, source, hardware, idr }: VmmProfile = vmmProfiles[profile];
    const shown = Object.entries(idr).map(([name, value]) => [name, `0x${value.toString(16)}`]);
    const of = policiesOf({ profile, policies: {} });
    return { profile, about, source, hardware, idr: Object.fromEntries(shown), policies: of };
  });
}

function profileNames(): readonly VmmProfileName[] {
  return Object.keys(vmmProfiles) as VmmProfileName[];
}

function havers(policy: PolicyName, value: unknown): readonly string[] {
  return profileNames().filter((profile) => policiesOf({ profile, policies: {} })[policy] === value);
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(INDENT - 2)}${text}`;
}
