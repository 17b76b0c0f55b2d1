/**
 * Rows that no test names yet, by table and by the reason. What the model does not do yet is here until it
 * does; a row that it does and that stands here is a debt.
 */
type Unreached = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

export const unreached = {
  commands: {},
  'event records': {
    'no unsupported upstream transaction enters the model': ['F_UUT'],
    'no client of the model hints at pages': ['E_PAGE_REQUEST'],
    'caches of the model cannot hold two entries for one look-up': ['F_TLB_CONFLICT', 'F_CFG_CONFLICT'],
    'MPAM is out of scope': ['F_VMS_FETCH'],
  },
  CERRORs: {},
  'GERROR bits': {},
  'STE rules': {},
  'CD rules': {},
  'IDR rules': {},
  registers: {},
  choices: {},
  stimuli: {},
  events: {},
  'scenario ops': {},
} as const satisfies Unreached;
