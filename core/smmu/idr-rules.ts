/**
 * What identification registers must satisfy together: IHI 0070 6.3.1 to 6.3.6. A machine whose values
 * break a `refused` row cannot be modelled: the encoding is reserved, or nothing here knows what to do
 * with it. A `noted` row is broken by hardware that the architecture does not allow, or that says it has
 * what the model lacks; the model runs it all the same, each feature for itself.
 */
import { type Decoded, decode } from '../layout/layout.ts';
import { registers } from './registers.ts';

const { IDR0, IDR1, IDR2, IDR3, IDR5, IDR6, AIDR } = registers.byName;

/** The fields of all identification registers that rules speak of; their names differ. */
export type Identification = Decoded<typeof IDR0> &
  Decoded<typeof IDR1> &
  Decoded<typeof IDR2> &
  Decoded<typeof IDR3> &
  Decoded<typeof IDR5> &
  Decoded<typeof IDR6> &
  Decoded<typeof AIDR>;

export type IdrRegister = 'IDR0' | 'IDR1' | 'IDR2' | 'IDR3' | 'IDR5' | 'IDR6';

export interface IdrRule {
  readonly name: string;
  /** The register that a message shows. */
  readonly register: IdrRegister;
  readonly spec: string;
  readonly verdict: 'refused' | 'noted';
  /** What holds when the rule is kept. */
  readonly needs: string;
  broken(id: Identification): boolean;
}

/** The fields of identification registers by name; absent registers are 0. */
export function identification(idr: Readonly<Record<string, number>>): Identification {
  const of = (name: string): readonly number[] => [idr[name] ?? 0];
  return {
    ...decode(IDR0, of('IDR0')),
    ...decode(IDR1, of('IDR1')),
    ...decode(IDR2, of('IDR2')),
    ...decode(IDR3, of('IDR3')),
    ...decode(IDR5, of('IDR5')),
    ...decode(IDR6, of('IDR6')),
    ...decode(AIDR, of('AIDR')),
  };
}

/** SMMUv3.minor or later. */
const from = (id: Identification, minor: number): boolean => id.ArchMinorRev >= minor;
const both = (id: Identification): boolean => id.S1P && id.S2P;
const smallGranule = (id: Identification): boolean => id.GRAN4K || id.GRAN16K;

// biome-ignore format: a table
const reserved: readonly IdrRule[] = [
  { name: 'no-stage',        register: 'IDR0', spec: '6.3.1', verdict: 'refused', needs: 'S1P or S2P', broken: (id) => !id.S1P && !id.S2P },
  { name: 'ttf-aarch64',     register: 'IDR0', spec: '6.3.1', verdict: 'refused', needs: 'TTF with VMSAv8-64 tables, 2 or 3', broken: (id) => (id.TTF & 2) === 0 },
  { name: 'ttendian-code',   register: 'IDR0', spec: '6.3.1', verdict: 'refused', needs: 'TTENDIAN of 0, 2 or 3', broken: (id) => id.TTENDIAN === 1 },
  { name: 'stall-model-code', register: 'IDR0', spec: '6.3.1', verdict: 'refused', needs: 'STALL_MODEL of 0, 1 or 2', broken: (id) => id.STALL_MODEL === 3 },
  { name: 'st-level-code',   register: 'IDR0', spec: '6.3.1', verdict: 'refused', needs: 'ST_LEVEL of 0 or 1', broken: (id) => id.ST_LEVEL > 1 },
  { name: 'ba-vatos-pages',  register: 'IDR2', spec: '6.3.3', verdict: 'refused', needs: 'a VATOS page below the control pages at 0x40000: BA_VATOS of 0 or 1 with ECMDQ', broken: (id) => id.VATOS && id.ECMDQ && id.BA_VATOS > 1 },
  { name: 'ecmdq-count',     register: 'IDR6', spec: '6.3.45', verdict: 'refused', needs: 'no more than 256 enhanced command queues: LOG2NUMP + LOG2NUMQ of at most 8', broken: (id) => id.ECMDQ && id.CMDQ_CONTROL_PAGE_LOG2NUMQ + id.CMDQ_CONTROL_PAGE_LOG2NUMP > 8 },
  { name: 'sidsize-range',   register: 'IDR1', spec: '6.3.2', verdict: 'refused', needs: 'SIDSIZE of at most 32', broken: (id) => id.SIDSIZE > 32 },
  { name: 'ssidsize-range',  register: 'IDR1', spec: '6.3.2', verdict: 'refused', needs: 'SSIDSIZE of at most 20', broken: (id) => id.SSIDSIZE > 20 },
  { name: 'cmdqs-range',     register: 'IDR1', spec: '6.3.2', verdict: 'refused', needs: 'CMDQS of at most 19', broken: (id) => id.CMDQS > 19 },
  { name: 'eventqs-range',   register: 'IDR1', spec: '6.3.2', verdict: 'refused', needs: 'EVENTQS of at most 19', broken: (id) => id.EVENTQS > 19 },
  { name: 'priqs-range',     register: 'IDR1', spec: '6.3.2', verdict: 'refused', needs: 'PRIQS of at most 19', broken: (id) => id.PRI && id.PRIQS > 19 },
  { name: 'tables-preset',   register: 'IDR1', spec: '6.3.2', verdict: 'refused', needs: 'TABLES_PRESET of 0: nothing says where fixed tables would lie', broken: (id) => id.TABLES_PRESET },
  { name: 'queues-preset',   register: 'IDR1', spec: '6.3.2', verdict: 'refused', needs: 'QUEUES_PRESET of 0: nothing says where fixed queues would lie', broken: (id) => id.QUEUES_PRESET },
  { name: 'bbml-code',       register: 'IDR3', spec: '6.3.4', verdict: 'refused', needs: 'BBML of 0, 1 or 2', broken: (id) => id.BBML === 3 },
  { name: 'no-granule',      register: 'IDR5', spec: '6.3.6', verdict: 'refused', needs: 'GRAN4K, GRAN16K or GRAN64K', broken: (id) => !smallGranule(id) && !id.GRAN64K },
  { name: 'oas-56',          register: 'IDR5', spec: '6.3.6', verdict: 'refused', needs: 'OAS of at most 52 bits, 6: 56 bits need VMSAv9-128, which is not modelled', broken: (id) => id.OAS === 7 },
  { name: 'vax-56',          register: 'IDR5', spec: '6.3.6', verdict: 'refused', needs: 'VAX of 0 or 1: 56 bits need VMSAv9-128, which is not modelled', broken: (id) => id.VAX > 1 },
  { name: 'd128',            register: 'IDR5', spec: '6.3.6', verdict: 'refused', needs: 'D128 of 0: VMSAv9-128 tables are not modelled', broken: (id) => id.D128 },
];

// biome-ignore format: a table
const dependent: readonly IdrRule[] = [
  { name: 'hyp-stages',      register: 'IDR0', spec: '6.3.1', verdict: 'noted', needs: 'Hyp only with both stages', broken: (id) => id.Hyp && !both(id) },
  { name: 'ns1ats-use',      register: 'IDR0', spec: '6.3.1', verdict: 'noted', needs: 'NS1ATS only with ATS and both stages', broken: (id) => id.NS1ATS && !(id.ATS && both(id)) },
  { name: 'pri-ats',         register: 'IDR0', spec: '6.3.1', verdict: 'noted', needs: 'PRI only with ATS', broken: (id) => id.PRI && !id.ATS },
  { name: 'atsrecerr-ats',   register: 'IDR0', spec: '6.3.1', verdict: 'noted', needs: 'ATSRECERR only with ATS', broken: (id) => id.ATSRECERR && !id.ATS },
  { name: 'vmw-stage-2',     register: 'IDR0', spec: '6.3.1', verdict: 'noted', needs: 'VMW only with stage 2', broken: (id) => id.VMW && !id.S2P },
  { name: 'vatos-atos',      register: 'IDR0', spec: '6.3.1', verdict: 'noted', needs: 'VATOS only with ATOS and both stages', broken: (id) => id.VATOS && !(id.ATOS && both(id)) },
  { name: 'st-level-sidsize', register: 'IDR1', spec: '6.3.2', verdict: 'noted', needs: 'ST_LEVEL of 1 when SIDSIZE is 7 or more', broken: (id) => id.SIDSIZE >= 7 && id.ST_LEVEL === 0 },
  { name: 'rel-preset',      register: 'IDR1', spec: '6.3.2', verdict: 'noted', needs: 'REL only with preset tables or queues', broken: (id) => id.REL && !id.TABLES_PRESET && !id.QUEUES_PRESET },
  { name: 'ecmdq-needs',     register: 'IDR1', spec: '6.3.2', verdict: 'noted', needs: 'ECMDQ only with COHACC and MSI', broken: (id) => id.ECMDQ && !(id.COHACC && id.MSI) },
  { name: 'ba-vatos',        register: 'IDR2', spec: '6.3.3', verdict: 'noted', needs: 'BA_VATOS of 0 without VATOS', broken: (id) => id.BA_VATOS !== 0 && !id.VATOS },
  { name: 'had-stage-1',     register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'HAD only with stage 1', broken: (id) => id.HAD && !id.S1P },
  { name: 'pbha-had',        register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'PBHA only with HAD, from v3.1 on', broken: (id) => id.PBHA && !(id.HAD && from(id, 1)) },
  { name: 'xnx-v3.0',        register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'XNX only from v3.1 on', broken: (id) => id.XNX && !from(id, 1) },
  { name: 'pps-pri',         register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'PPS only with PRI and substreams', broken: (id) => id.PPS && !(id.PRI && id.SSIDSIZE > 0) },
  { name: 'ptwnnc-stage-2',  register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'PTWNNC only with stage 2', broken: (id) => id.PTWNNC && !id.S2P },
  { name: 'pasidtt-ats',     register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'PASIDTT only with ATS and substreams', broken: (id) => id.PASIDTT && !(id.ATS && id.SSIDSIZE > 0) },
  { name: 'stall-max',       register: 'IDR5', spec: '6.3.6', verdict: 'noted', needs: 'STALL_MAX of 0 when STALL_MODEL is 1', broken: (id) => id.STALL_MODEL === 1 && id.STALL_MAX !== 0 },
  { name: 'oas-52',          register: 'IDR5', spec: '6.3.6', verdict: 'noted', needs: 'OAS of 52 bits only with GRAN64K or DS, from v3.1 on', broken: (id) => id.OAS === 6 && !((id.GRAN64K || id.DS) && from(id, 1)) },
  { name: 'vax-52',          register: 'IDR5', spec: '6.3.6', verdict: 'noted', needs: 'VAX of 1 only with GRAN64K, or DS with a smaller granule, from v3.1 on', broken: (id) => id.VAX === 1 && !((id.GRAN64K || (id.DS && smallGranule(id))) && from(id, 1)) },
  { name: 'ds-vax',          register: 'IDR5', spec: '6.3.6', verdict: 'noted', needs: 'DS only with VAX of 1', broken: (id) => id.DS && id.VAX === 0 },
  { name: 'ds-granule',      register: 'IDR5', spec: '6.3.6', verdict: 'noted', needs: 'DS only with GRAN4K or GRAN16K', broken: (id) => id.DS && !smallGranule(id) },
  { name: 'lpae-4k',         register: 'IDR5', spec: '6.3.6', verdict: 'noted', needs: 'GRAN4K when TTF has VMSAv8-32', broken: (id) => (id.TTF & 1) !== 0 && !id.GRAN4K },
  { name: 'idr6-ecmdq',      register: 'IDR6', spec: '6.3.45', verdict: 'noted', needs: 'IDR6 of 0 without ECMDQ', broken: (id) => !id.ECMDQ && id.CMDQ_CONTROL_PAGE_LOG2NUMQ + id.CMDQ_CONTROL_PAGE_LOG2NUMP > 0 },
];

// biome-ignore format: a table
const mandatory: readonly IdrRule[] = [
  { name: 'had-v3.1',        register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'HAD with stage 1 from v3.1 on', broken: (id) => from(id, 1) && id.S1P && !id.HAD },
  { name: 'xnx-v3.1',        register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'XNX with stage 2 from v3.1 on', broken: (id) => from(id, 1) && id.S2P && !id.XNX },
  { name: 'hyp-v3.2',        register: 'IDR0', spec: '6.3.1', verdict: 'noted', needs: 'Hyp with both stages from v3.2 on', broken: (id) => from(id, 2) && both(id) && !id.Hyp },
  { name: 'fwb-v3.2',        register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'FWB from v3.2 on', broken: (id) => from(id, 2) && !id.FWB },
  { name: 'ril-v3.2',        register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'RIL from v3.2 on', broken: (id) => from(id, 2) && !id.RIL },
  { name: 'bbml-v3.2',       register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'BBML of 1 or 2 from v3.2 on', broken: (id) => from(id, 2) && id.BBML === 0 },
  { name: 'e0pd-v3.3',       register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'E0PD from v3.3 on', broken: (id) => from(id, 3) && !id.E0PD },
  { name: 'ptwnnc-v3.3',     register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'PTWNNC with stage 2 from v3.3 on', broken: (id) => from(id, 3) && id.S2P && !id.PTWNNC },
  { name: 'epan-v3.4',       register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'EPAN from v3.4 on', broken: (id) => from(id, 4) && !id.EPAN },
  { name: 'mteperm-v3.4',    register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'MTEPERM with stage 2 from v3.4 on', broken: (id) => from(id, 4) && id.S2P && !id.MTEPERM },
];

// biome-ignore format: a table
const lacking: readonly IdrRule[] = [
  { name: 'no-lpae',         register: 'IDR0', spec: '6.3.1', verdict: 'noted', needs: 'TTF of 2: VMSAv8-32 LPAE tables are not modelled', broken: (id) => (id.TTF & 1) !== 0 },
  { name: 'no-dormhint',     register: 'IDR0', spec: '6.3.1', verdict: 'noted', needs: 'DORMHINT of 0: STATUSR.DORMANT is never 1', broken: (id) => id.DORMHINT },
  { name: 'no-rme',          register: 'IDR0', spec: '6.3.1', verdict: 'noted', needs: 'RME_IMPL of 0: Realm state is out of scope', broken: (id) => id.RME_IMPL },
  { name: 'no-mpam',         register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'MPAM of 0: it is out of scope', broken: (id) => id.MPAM },
  { name: 'no-dpt',          register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'DPT of 0: it is out of scope', broken: (id) => id.DPT },
  { name: 'no-indirection',  register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'S1PI, S2PI and S2PO of 0: indirect permissions are not modelled', broken: (id) => id.S1PI || id.S2PI || id.S2PO },
  { name: 'no-the',          register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'THE of 0: translation hardening is not modelled', broken: (id) => id.THE },
  { name: 'no-aie',          register: 'IDR3', spec: '6.3.4', verdict: 'noted', needs: 'AIE of 0: the attribute index extension is not modelled', broken: (id) => id.AIE },
];

export const idrRules: readonly IdrRule[] = [...reserved, ...dependent, ...mandatory, ...lacking];

/** The rules that these values break, those first that refuse the machine. */
export function brokenIdrRules(idr: Readonly<Record<string, number>>): readonly IdrRule[] {
  const id = identification(idr);
  return idrRules.filter((rule) => rule.broken(id));
}
