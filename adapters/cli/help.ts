/** `help`: the verbs, one verb, or one of the topics; `scenario` is made from the vocabulary. */
import { Command } from 'commander';
import { meant } from '../../core/path/near.ts';
import { InputError } from '../input-error.ts';
import { hangingLines } from './help-lines.ts';
import { exitCodes, printAll } from './io.ts';
import type { Verb } from './verb.ts';
import { verbs } from './verbs.ts';

interface Topic {
  readonly summary: string;
  lines(): Promise<readonly string[]> | readonly string[];
  /** With --json: one object for each thing that the topic tells of; its lines when absent. */
  rows?(): Promise<readonly object[]>;
}

const topics: Readonly<Record<string, Topic>> = {
  scenario: {
    summary: 'the lines of a scenario file',
    lines: async () => (await import('./help-scenario.ts')).scenarioHelp(),
  },
  paths: {
    summary: 'how the things of a machine are named',
    lines: async () => (await import('./help-topics.ts')).pathsHelp,
  },
  positions: {
    summary: 'how moments are named',
    lines: async () => (await import('./help-topics.ts')).positionsHelp,
  },
  questions: {
    summary: 'why, why not, bisect, what if: what can be asked of a history',
    lines: async () => (await import('./help-topics.ts')).questionsHelp,
  },
  findings: {
    summary: 'reports, repairs, and files of suppressions and baselines',
    lines: async () => (await import('./help-findings.ts')).findingsHelp(),
  },
  smmu: {
    summary: 'what is modelled: registers, commands, records, rules, caches',
    lines: async () => (await import('./help-model.ts')).smmuHelp(),
    rows: async () => (await import('./help-model.ts')).smmuRows(),
  },
  profiles: {
    summary: 'hardware profiles and their sources',
    lines: async () => (await import('./help-smmu.ts')).profilesHelp(),
  },
  kernels: {
    summary: 'kernel profiles and their switches, with their sources',
    lines: async () => (await import('./help-kernels.ts')).kernelsHelp(),
    rows: async () => (await import('./help-kernels.ts')).kernelRows(),
  },
  vmms: {
    summary: 'VMM profiles, their policies and quirks, with their sources',
    lines: async () => (await import('./help-vmms.ts')).vmmsHelp(),
    rows: async () => (await import('./help-vmms.ts')).vmmRows(),
  },
  prices: {
    summary: 'what `cost` counts, and what each costs',
    lines: async () => (await import('./help-prices.ts')).pricesHelp(),
    rows: async () => (await import('./help-prices.ts')).priceRows(),
  },
  rules: {
    summary: 'the rules of check, their verdicts and sections',
    lines: async () => (await import('./help-rules.ts')).rulesHelp(),
    rows: async () => (await import('./help-rules.ts')).ruleRows(),
  },
  choices: {
    summary: 'where the architecture leaves freedom, and what is taken',
    lines: async () => (await import('./help-smmu.ts')).choicesHelp(),
  },
};

export const verb: Verb = {
  define(command) {
    command.argument('[topic]', `a verb, or ${Object.keys(topics).join(', ')}`);
  },
  async run({ io, json }, [name]) {
    const width = io.width ?? 80;
    const topic = name === undefined || !Object.hasOwn(topics, name) ? undefined : topics[name];
    if (topic !== undefined)
      await printAll(io, json ? await jsonLines(topic) : fitted(await topic.lines(), width));
    else if (name !== undefined) await printAll(io, await verbHelp(name, width));
    else await printAll(io, overview());
    return exitCodes.clean;
  },
};

function fitted(lines: readonly string[], width: number): string[] {
  return lines.flatMap((line) => hangingLines(line, width));
}

async function jsonLines(topic: Topic): Promise<string[]> {
  const rows =
    topic.rows === undefined ? (await topic.lines()).map((text) => ({ text })) : await topic.rows();
  return rows.map((row) => JSON.stringify(row));
}

function overview(): string[] {
  const row = (name: string, summary: string): string => `  ${name.padEnd(12)}${summary}`;
  return [
    'backwalk VERB [-s FILE.bw] [--json]',
    '',
    ...Object.entries(verbs).map(([name, { summary }]) => row(name, summary)),
    '',
    'backwalk help VERB, and the topics:',
    '',
    ...Object.entries(topics).map(([name, { summary }]) => row(name, summary)),
    '',
    'Exit codes: 0 clean; 1 findings, a failed check or a difference; 2 bad usage or',
    'bad input; 125 cannot judge; 130 stopped by Ctrl-C.',
  ];
}

async function verbHelp(name: string, width: number): Promise<string[]> {
  const row = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (row === undefined) {
    const known = [...Object.keys(verbs), ...Object.keys(topics)];
    throw new InputError(`expected one of ${known.join(', ')}, found "${name}"${meant(name, known)}`);
  }
  const command = new Command(`backwalk ${name}`)
    .description(row.summary)
    .configureHelp({ helpWidth: width });
  (await row.load()).verb.define(command);
  return command.helpInformation().trimEnd().split('\n');
}
