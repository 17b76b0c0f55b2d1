/**
 * Rows that no test names yet, by table and by the reason. What the model does not do yet is here until it
 * does; a row that it does and that stands here is a debt.
 */
type Unreached = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

export const unreached = {
  commands: {},
  'event records': {
    'no unsupported upstream transaction enters the model': ['F_UUT'],
    'ATS and PRI are not modelled yet': ['F_BAD_ATS_TREQ', 'F_TRANSL_FORBIDDEN', 'E_PAGE_REQUEST'],
    'caches of the model cannot hold two entries for one look-up': ['F_TLB_CONFLICT', 'F_CFG_CONFLICT'],
    'MPAM is out of scope': ['F_VMS_FETCH'],
  },
  CERRORs: { 'ATS is not modelled yet': ['CERROR_ATC_INV_SYNC'] },
  'GERROR bits': {
    'PRI is not modelled yet': ['PRIQ_ABT_ERR'],
    'MSIs are not modelled yet': [
      'MSI_CMDQ_ABT_ERR',
      'MSI_EVENTQ_ABT_ERR',
      'MSI_PRIQ_ABT_ERR',
      'MSI_GERROR_ABT_ERR',
    ],
  },
  'STE rules': {},
  'CD rules': {},
  'IDR rules': {},
  registers: {
    'ATOS operations are not modelled yet': [
      'GATOS_CTRL',
      'GATOS_SID',
      'GATOS_ADDR',
      'GATOS_PAR',
      'VATOS_SEL',
      'VATOS_CTRL',
      'VATOS_SID',
      'VATOS_ADDR',
      'VATOS_PAR',
    ],
    'MPAM and DPT are out of scope': [
      'MPAMIDR',
      'GMPAM',
      'GBPMPAM',
      'DPT_BASE',
      'DPT_BASE_CFG',
      'DPT_CFG_FAR',
    ],
    'enhanced command queues are not modelled yet': [
      'IDR6',
      'CMDQ_CONTROL_PAGE_BASE0',
      'CMDQ_CONTROL_PAGE_CFG0',
      'CMDQ_CONTROL_PAGE_STATUS0',
      'ECMDQ_BASE',
      'ECMDQ_PROD',
      'ECMDQ_CONS',
    ],
  },
  choices: {},
  stimuli: {},
  events: {},
  'scenario ops': {},
} as const satisfies Unreached;
