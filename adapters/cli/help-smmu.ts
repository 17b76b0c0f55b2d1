/** Topics of `help` about the model itself, made from the tables that the model is. */
import { cdRules } from '../../core/smmu/cd-rules.ts';
import { choices } from '../../core/smmu/choices.ts';
import { commands } from '../../core/smmu/command.ts';
import { type CommandName, commandLayouts } from '../../core/smmu/command-layout.ts';
import { profiles } from '../../core/smmu/profiles.ts';
import { steRules } from '../../core/smmu/ste-rules.ts';

const hex = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`;

/** Hardware profiles: identification registers, caches, source. */
export function profilesHelp(): string[] {
  return Object.entries(profiles).flatMap(([name, { source, idr, caches, invalidation, replacement }]) => [
    name,
    `  ${source}`,
    `  ${Object.entries(idr)
      .map(([register, value]) => `${register}=0x${value.toString(16)}`)
      .join(' ')}`,
    `  caches ste=${caches.ste} cd=${caches.cd} tlb=${caches.tlb} walk=${caches.walk}`,
    `  ${invalidation} invalidation; when full: ${replacement}`,
    '',
  ]);
}

/** Where the architecture leaves freedom, and what is taken. */
export function choicesHelp(): string[] {
  const rows = Object.entries(choices).flatMap(([name, { default: usual, spec, meaning }]) => [
    `${name} = ${usual}   IHI 0070 ${spec}`,
    `  ${meaning}`,
  ]);
  return ['A scenario sets them in machine.smmus[].choices, or from a moment on with set.', '', ...rows];
}

/** What is modelled: commands with what they do, and the rules that make structures ILLEGAL. */
export function smmuHelp(): string[] {
  const rows = Object.entries(commandLayouts).map(([name, { opcode, spec }]) => {
    const row = commands[name as CommandName];
    const does =
      row.scopes !== undefined
        ? 'invalidates'
        : name === 'CMD_SYNC'
          ? 'waits for all before it'
          : 'checked, no effect';
    return `  ${hex(opcode)}  ${name.padEnd(22)} ${spec.padEnd(9)} ${does}`;
  });
  const rule = ({ name, spec }: { readonly name: string; readonly spec: string }): string =>
    `  ${name.padEnd(24)} IHI 0070 ${spec}`;
  return [
    'Commands (opcode, name, section of IHI 0070, what they do here):',
    ...rows,
    '',
    'An STE is ILLEGAL (C_BAD_STE) by:',
    ...steRules.map(rule),
    '',
    'A CD is ILLEGAL (C_BAD_CD) by:',
    ...cdRules.map(rule),
  ];
}
