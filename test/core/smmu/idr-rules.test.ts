/** The rules that identification registers satisfy together (6.3.1 to 6.3.6): one row for each, broken and alone. */
import { describe, expect, it } from 'vitest';
import { brokenIdrRules, idrRules } from '../../../core/smmu/idr-rules.ts';
import { type ProfileName, profiles } from '../../../core/smmu/profiles.ts';
import { table, withFields } from '../../support/tables.ts';

const changed = (base: string, text: string): Record<string, number> =>
  withFields(profiles[base as ProfileName].idr, text);

// `break` makes a profile that keeps all rules break this one alone; `and keep` changes more, so that it
// is kept again.
const rows = table<'rule' | 'base' | 'break' | 'and keep'>(`
  rule             | base     | break                           | and keep
  -----------------|----------|---------------------------------|---------
  no-stage         | minimal  | S1P=0 HAD=0                     | S1P=1 HAD=1
  ttf-aarch64      | minimal  | TTF=0                           | TTF=2
  ttendian-code    | minimal  | TTENDIAN=1                      | TTENDIAN=3
  stall-model-code | minimal  | STALL_MODEL=3                   | STALL_MODEL=2
  st-level-code    | mmu-700  | ST_LEVEL=2                      | ST_LEVEL=1
  ba-vatos-pages   | everything | BA_VATOS=2 ECMDQ=1 | BA_VATOS=1
  ecmdq-count      | minimal  | CMDQ_CONTROL_PAGE_LOG2NUMP=5 CMDQ_CONTROL_PAGE_LOG2NUMQ=4 ECMDQ=1 MSI=1 | CMDQ_CONTROL_PAGE_LOG2NUMQ=3
  sidsize-range    | mmu-700  | SIDSIZE=33                      | SIDSIZE=32
  ssidsize-range   | mmu-700  | SSIDSIZE=21                     | SSIDSIZE=20
  cmdqs-range      | minimal  | CMDQS=20                        | CMDQS=19
  eventqs-range    | minimal  | EVENTQS=20                      | EVENTQS=19
  priqs-range      | mmu-700  | PRIQS=20                        | PRI=0 PPS=0
  tables-preset    | minimal  | TABLES_PRESET=1                 | TABLES_PRESET=0
  queues-preset    | minimal  | QUEUES_PRESET=1                 | QUEUES_PRESET=0
  bbml-code        | mmu-700  | BBML=3                          | BBML=1
  no-granule       | minimal  | GRAN4K=0                        | GRAN16K=1
  oas-56           | mmu-700  | OAS=7                           | OAS=6
  vax-56           | mmu-700  | VAX=2                           | VAX=1
  d128             | mmu-700  | D128=1                          | D128=0
  hyp-stages       | minimal  | Hyp=1                           | S2P=1 XNX=1
  ns1ats-use       | qemu-9   | NS1ATS=1                        | ATS=1
  pri-ats          | minimal  | PRI=1                           | ATS=1
  atsrecerr-ats    | minimal  | ATSRECERR=1                     | ATS=1
  vmw-stage-2      | minimal  | VMW=1                           | S2P=1 XNX=1
  vatos-atos       | qemu-9   | VATOS=1                         | ATOS=1
  st-level-sidsize | minimal  | SIDSIZE=7                       | ST_LEVEL=1
  rel-preset       | minimal  | REL=1                           | REL=0
  ecmdq-needs      | minimal  | ECMDQ=1                         | MSI=1
  ba-vatos         | qemu-9   | BA_VATOS=1                      | VATOS=1 ATOS=1
  had-stage-1      | qemu-9   | S1P=0                           | HAD=0
  pbha-had         | minimal  | PBHA=1 HAD=0 ArchMinorRev=0     | HAD=1 ArchMinorRev=1
  xnx-v3.0         | qemu-9   | ArchMinorRev=0                  | XNX=0
  pps-pri          | mmu-700  | SSIDSIZE=0                      | PPS=0
  ptwnnc-stage-2   | minimal  | PTWNNC=1                        | S2P=1 XNX=1
  pasidtt-ats      | minimal  | PASIDTT=1                       | ATS=1 SSIDSIZE=1
  stall-max        | minimal  | STALL_MAX=1                     | STALL_MODEL=0
  oas-52           | minimal  | OAS=6                           | GRAN64K=1
  vax-52           | minimal  | VAX=1                           | DS=1
  ds-vax           | minimal  | DS=1                            | VAX=1
  ds-granule       | mmu-700  | DS=1 GRAN4K=0 GRAN16K=0         | GRAN16K=1
  idr6-ecmdq       | minimal  | CMDQ_CONTROL_PAGE_LOG2NUMP=1    | ECMDQ=1 MSI=1
  had-v3.1         | minimal  | HAD=0                           | ArchMinorRev=0
  xnx-v3.1         | qemu-9   | XNX=0                           | ArchMinorRev=0
  hyp-v3.2         | mmu-700  | Hyp=0                           | ArchMinorRev=1
  fwb-v3.2         | mmu-700  | FWB=0                           | ArchMinorRev=1
  ril-v3.2         | mmu-700  | RIL=0                           | ArchMinorRev=1
  bbml-v3.2        | mmu-700  | BBML=0                          | ArchMinorRev=1
  e0pd-v3.3        | mmu-700  | ArchMinorRev=3 PTWNNC=1         | E0PD=1
  ptwnnc-v3.3      | mmu-700  | ArchMinorRev=3 E0PD=1           | PTWNNC=1
  epan-v3.4        | mmu-700  | ArchMinorRev=4 E0PD=1 PTWNNC=1 MTEPERM=1 | EPAN=1
  mteperm-v3.4     | mmu-700  | ArchMinorRev=4 E0PD=1 PTWNNC=1 EPAN=1    | MTEPERM=1
  no-lpae          | minimal  | TTF=3                           | TTF=2
  no-dormhint      | minimal  | DORMHINT=1                      | DORMHINT=0
  no-rme           | minimal  | RME_IMPL=1                      | RME_IMPL=0
  no-mpam          | minimal  | MPAM=1                          | MPAM=0
  no-dpt           | mmu-700  | DPT=1                           | DPT=0
  no-indirection   | mmu-700  | S2PO=1                          | S2PO=0
  no-indirection   | mmu-700  | S2PI=1                          | S2PI=0
  no-indirection   | mmu-700  | S1PI=1                          | S1PI=0
  no-the           | mmu-700  | THE=1                           | THE=0
  no-aie           | mmu-700  | AIE=1                           | AIE=0
`);

const brokenBy = (idr: Record<string, number>): string[] => brokenIdrRules(idr).map(({ name }) => name);

describe('identification registers', () => {
  it.each(rows.map((row) => [row.rule, row.break, row] as const))('%s is broken by %s', (rule, text, row) => {
    expect(brokenBy(changed(row.base, text))).toEqual([rule]);
    expect(brokenBy(changed(row.base, `${text} ${row['and keep']}`))).toEqual([]);
  });

  it('lpae-4k is broken by TTF=3 without GRAN4K, beside no-lpae', () => {
    expect(brokenBy(changed('mmu-700', 'TTF=3 GRAN4K=0'))).toEqual(['lpae-4k', 'no-lpae']);
    expect(brokenBy(changed('mmu-700', 'TTF=3'))).toEqual(['no-lpae']);
  });

  it('have a row here for every rule', () => {
    const tested = new Set([...rows.map(({ rule }) => rule), 'lpae-4k']);
    expect([...tested].sort()).toEqual(idrRules.map(({ name }) => name).sort());
  });

  it('that are absent are 0', () => {
    expect(brokenBy({})).toEqual(['no-stage', 'ttf-aarch64', 'no-granule']);
  });
});
