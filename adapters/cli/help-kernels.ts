/** `help kernels`: profiles of the host's kernel and the switches in which they differ, from their tables. */
import {
  type KernelProfile,
  kernelProfiles,
  type ProfileName,
  switchesOf,
} from '../../core/kernel/profiles.ts';
import { type Switch, switches } from '../../core/kernel/switches.ts';

/** Where the second column begins. */
const INDENT = 26;

/** Every profile with what it brought, and every switch with its values and its source. */
export function kernelsHelp(): string[] {
  const profiles = Object.entries(kernelProfiles as Readonly<Record<string, KernelProfile>>);
  return [
    'Profiles of a machine line\'s kernel: {"op":"machine","kernel":{"profile":"linux-7.3"}}.',
    '',
    ...profiles.map(([name, { about }]) => row(name, about)),
    '',
    'Switches, which a profile sets and a machine line or set may change:',
    '',
    ...Object.entries(switches as Readonly<Record<string, Switch>>).flatMap(
      ([name, { meaning, source, values }]) => [
        row(name, `${values.map((value) => JSON.stringify(value)).join(', ')}`),
        row('', meaning),
        row('', `(${source})`),
      ],
    ),
  ];
}

/** One object for each profile, with the values of its switches. */
export function kernelRows(): object[] {
  return (Object.keys(kernelProfiles) as ProfileName[]).map((profile) => {
    const { release, about }: KernelProfile = kernelProfiles[profile];
    return { profile, release, about, switches: switchesOf(profile) };
  });
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(INDENT - 2)}${text}`;
}
