/**
 * Where the architecture leaves freedom, and this model has more than one way: each choice by name,
 * with what is taken unless a profile or a scenario says otherwise.
 */

export type ChoiceValue = boolean | number | string;

export interface Choice {
  readonly default: ChoiceValue;
  /** Section of IHI 0070 that leaves the freedom. */
  readonly spec: string;
  readonly meaning: string;
}

// biome-ignore format: a table
export const choices = {
  checkAccessFlag:   { default: true,  spec: '3.13',    meaning: 'a leaf with AF=0 raises F_ACCESS when CD.AFFD=0; false: AF is taken as 1' },
  cacheRefusedLeaf:  { default: true,  spec: '16.2',    meaning: 'a leaf that refuses the access that walked to it is cached all the same' },
  gbpaAbortAtReset:  { default: false, spec: '6.3.14',  meaning: 'GBPA.ABORT is 1 after reset' },
} as const satisfies Readonly<Record<string, Choice>>;

export type ChoiceName = keyof typeof choices;

/** Every choice at its default. */
export function defaultChoices(): Readonly<Record<ChoiceName, ChoiceValue>> {
  const rows = Object.entries(choices).map(([name, choice]) => [name, choice.default]);
  return Object.fromEntries(rows) as Record<ChoiceName, ChoiceValue>;
}
