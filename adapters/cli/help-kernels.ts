/** `help kernels`: profiles of the host's kernel and the switches in which they differ, from their tables. */
import {
  type KernelProfile,
  kernelProfiles,
  type ProfileName,
  switchesOf,
} from '../../core/kernel/profiles.ts';
import { type Switch, switches } from '../../core/kernel/switches.ts';
import { foldedLines } from './help-lines.ts';

const WIDTH = 100;

/** Every profile with what it brought, and every switch with its values and its source. */
export function kernelsHelp(): string[] {
  const profiles = Object.entries(kernelProfiles as Readonly<Record<string, KernelProfile>>);
  return [
    'Profiles of a machine line\'s kernel: {"op":"machine","kernel":{"profile":"linux-7.3"}}.',
    '',
    ...profiles.flatMap(([name, { about }]) => row(name, about, 26)),
    '',
    'Switches, which a profile sets and a machine line or set may change:',
    '',
    ...Object.entries(switches as Readonly<Record<string, Switch>>).flatMap(
      ([name, { meaning, source, values }]) => [
        ...row(name, `${values.map((value) => JSON.stringify(value)).join(', ')}`, 26),
        ...row('', meaning, 26),
        ...row('', `(${source})`, 26),
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

function row(name: string, text: string, indent: number): string[] {
  const [first = '', ...rest] = foldedLines(text, WIDTH - indent);
  return [`  ${name.padEnd(indent - 2)}${first}`, ...rest.map((each) => `${' '.repeat(indent)}${each}`)];
}
