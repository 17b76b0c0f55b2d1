/** A machine as the first line of a scenario: what differs from its profiles and from the defaults. */
import type { EndpointConfig, MachineConfig, SmmuConfig } from '../../core/config.ts';
import { isSame } from '../../core/history/same.ts';
import { defaultProfile, isProfileName, smmuConfig } from '../../core/smmu/profiles.ts';
import type { ScenarioLine } from './scenario.ts';

const hex = (value: number): string => `0x${value.toString(16)}`;

/** The line that makes this machine. */
export function machineLine({
  ram,
  smmus,
  endpoints,
  doorbell,
  kernel,
  schedule,
  seed,
}: MachineConfig): ScenarioLine {
  return {
    op: 'machine',
    ram: ram.map(({ base, size }) => ({ base: hex(base), size: hex(size) })),
    smmus: smmus.map(smmuOf),
    ...(endpoints.length === 0
      ? {}
      : { endpoints: endpoints.map((each) => endpointOf(each, smmus[0]?.name)) }),
    ...(doorbell === undefined ? {} : { doorbell: hex(doorbell) }),
    ...(kernel ? { kernel } : {}),
    ...(schedule === 'eager' ? {} : { schedule }),
    ...(seed === 0 ? {} : { seed }),
  };
}

function smmuOf(smmu: SmmuConfig): object {
  const { name, base, profile: named, idr, caches, invalidation, replacement, choices } = smmu;
  const profile = isProfileName(named) ? named : defaultProfile;
  const usual = smmuConfig(profile, { name, base });
  const idrs = changed(idr, usual.idr).map(([register, value]) => [register, hex(Number(value))]);
  return {
    name,
    base: hex(base),
    profile,
    ...part('idr', idrs),
    ...part('caches', changed(caches, usual.caches)),
    ...(invalidation === usual.invalidation ? {} : { invalidation }),
    ...(replacement === usual.replacement ? {} : { replacement }),
    ...part('choices', changed(choices, usual.choices)),
  };
}

function changed(values: object, usual: object): [string, unknown][] {
  const known = usual as Readonly<Record<string, unknown>>;
  return Object.entries(values).filter(([name, value]) => !isSame(value, known[name]));
}

function part(name: string, entries: readonly (readonly [string, unknown] | unknown[])[]): object {
  return entries.length === 0 ? {} : { [name]: Object.fromEntries(entries as [string, unknown][]) };
}

function endpointOf(endpoint: EndpointConfig, first: string | undefined): object {
  const { name, smmu, streamId, ats, pri, ssidBits, atc, ...rest } = endpoint;
  return {
    name,
    ...(smmu === first ? {} : { smmu }),
    streamId,
    ...(ats ? { ats } : {}),
    ...(pri ? { pri } : {}),
    ...(ssidBits === 0 ? {} : { ssidBits }),
    ...(atc === 0 ? {} : { atc }),
    ...rest,
  };
}
