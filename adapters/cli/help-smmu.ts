/** Topics of `help` about the model itself, made from the tables that the model is. */
import { cdRules } from '../../core/smmu/cd-rules.ts';
import { choices } from '../../core/smmu/choices.ts';
import { commands } from '../../core/smmu/command.ts';
import { type CommandName, commandLayouts } from '../../core/smmu/command-layout.ts';
import { idrRules } from '../../core/smmu/idr-rules.ts';
import type { Profile } from '../../core/smmu/profiles/profile.ts';
import { profiles } from '../../core/smmu/profiles.ts';
import { steRules } from '../../core/smmu/ste-rules.ts';

const HELP_WIDTH = 110;

const hex = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`;

/** Words in lines of the help, indented by two. */
function paragraph(text: string): string[] {
  const lines: string[] = [];
  let line = ' ';
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > HELP_WIDTH) {
      lines.push(line);
      line = ' ';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** Hardware profiles: identification registers, caches, source. */
export function profilesHelp(): string[] {
  const rows: readonly (readonly [string, Profile])[] = Object.entries(profiles);
  return rows.flatMap(([name, { source, doubts, idr, caches, invalidation, replacement, choices: own }]) => [
    name,
    ...paragraph(source),
    ...(doubts === undefined ? [] : paragraph(`Chosen or uncertain: ${doubts}`)),
    ...paragraph(
      Object.entries(idr)
        .map(([register, value]) => `${register}=0x${value.toString(16)}`)
        .join(' '),
    ),
    `  caches ste=${caches.ste} cd=${caches.cd} tlb=${caches.tlb} walk=${caches.walk}`,
    `  ${invalidation} invalidation; when full: ${replacement}`,
    ...Object.entries(own).map(([choice, value]) => `  ${choice} = ${value}`),
    '',
  ]);
}

/** Where the architecture leaves freedom, and what is taken. */
export function choicesHelp(): string[] {
  const rows = Object.entries(choices).flatMap(([name, { default: usual, spec, meaning }]) => [
    `${name} = ${usual}   IHI 0070 ${spec}`,
    ...paragraph(meaning),
  ]);
  return ['A scenario sets them in machine.smmus[].choices, or from a moment on with set.', '', ...rows];
}

function idrRule({ name, spec, needs }: (typeof idrRules)[number]): string {
  return `  ${name.padEnd(24)} IHI 0070 ${spec.padEnd(8)} ${needs}`;
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
    '',
    'Identification registers that a machine is refused for:',
    ...idrRules.filter(({ verdict }) => verdict === 'refused').map(idrRule),
    '',
    'Identification registers of hardware that cannot be, or that has more than is modelled (run all the same):',
    ...idrRules.filter(({ verdict }) => verdict === 'noted').map(idrRule),
  ];
}
