/** Rows that no test names yet, by table and by the reason. */
type Unreached = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

export const unreached = {
  commands: {},
  'event records': {},
  CERRORs: {},
  'GERROR bits': {},
  'STE rules': {},
  'CD rules': {},
  registers: {},
  choices: {},
  stimuli: {},
  events: {},
  'scenario ops': {},
} as const satisfies Unreached;
