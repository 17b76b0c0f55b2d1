/**
 * What an SMMU can do, read from its identification registers once for all questions: they are
 * constant after reset. A class so that immer leaves it alone; it is derived, so no snapshot holds it.
 */
import { addressSizes } from './codes.ts';
import { registers } from './registers.ts';

const { AIDR, IDR0, IDR1, IDR3, IDR5, IDR6 } = registers.byName;

export class Features {
  /** n of SMMUv3.n. */
  readonly archMinor: number;

  readonly s1p: boolean;
  readonly s2p: boolean;
  readonly ttf: number;
  readonly cohacc: boolean;
  readonly btm: boolean;
  readonly httu: number;
  readonly dormhint: boolean;
  readonly hyp: boolean;
  readonly ats: boolean;
  /** 1: split-stage ATS is not supported. */
  readonly ns1ats: boolean;
  readonly asid16: boolean;
  readonly msi: boolean;
  readonly sev: boolean;
  readonly atos: boolean;
  readonly pri: boolean;
  readonly vmw: boolean;
  readonly vmid16: boolean;
  readonly cd2l: boolean;
  readonly vatos: boolean;
  readonly ttEndian: number;
  readonly atsRecErr: boolean;
  readonly stallModel: number;
  readonly termModel: boolean;
  readonly stLevel: number;

  readonly sidBits: number;
  readonly ssidBits: number;
  readonly priqsLog2: number;
  readonly eventqsLog2: number;
  readonly cmdqsLog2: number;
  readonly attrPermsOvr: boolean;
  readonly attrTypesOvr: boolean;
  readonly queuesPreset: boolean;
  readonly tablesPreset: boolean;
  readonly rel: boolean;
  readonly ecmdq: boolean;
  /** Control pages of enhanced command queues, and queues in each (IDR6). */
  readonly ecmdqPagesLog2: number;
  readonly ecmdqsPerPageLog2: number;

  readonly had: boolean;
  readonly pbha: boolean;
  readonly xnx: boolean;
  readonly pps: boolean;
  readonly mpam: boolean;
  readonly fwb: boolean;
  readonly stt: boolean;
  readonly ril: boolean;
  readonly bbml: number;
  readonly e0pd: boolean;
  readonly ptwnnc: boolean;
  readonly dpt: boolean;
  readonly pasidtt: boolean;
  readonly epan: boolean;
  readonly s1pi: boolean;
  readonly s2pi: boolean;
  readonly s2po: boolean;
  readonly the: boolean;
  readonly mteperm: boolean;
  readonly aie: boolean;

  readonly ds: boolean;
  readonly d128: boolean;
  readonly vax: number;
  /** Stalled transactions whose records may be outstanding. */
  readonly stallMax: number;
  /** Granules by their log2: 12, 14, 16. */
  readonly granules: ReadonlySet<number>;
  /** Output address size in bits. */
  readonly oas: number;
  /** Intermediate address size in bits (3.4). */
  readonly ias: number;

  /** @param idr identification registers by name; absent ones are 0. */
  constructor(idr: Readonly<Record<string, number>>) {
    const w0 = [idr['IDR0'] ?? 0];
    const w1 = [idr['IDR1'] ?? 0];
    const w3 = [idr['IDR3'] ?? 0];
    const w5 = [idr['IDR5'] ?? 0];
    const w6 = [idr['IDR6'] ?? 0];
    const f0 = IDR0.fields;
    const f1 = IDR1.fields;
    const f3 = IDR3.fields;
    const f5 = IDR5.fields;
    const granules = new Set<number>();
    if (f5.GRAN4K.read(w5)) granules.add(12);
    if (f5.GRAN16K.read(w5)) granules.add(14);
    if (f5.GRAN64K.read(w5)) granules.add(16);
    this.granules = granules;
    this.archMinor = AIDR.fields.ArchMinorRev.read([idr['AIDR'] ?? 0]);
    this.s1p = f0.S1P.read(w0);
    this.s2p = f0.S2P.read(w0);
    this.ttf = f0.TTF.read(w0);
    this.cohacc = f0.COHACC.read(w0);
    this.btm = f0.BTM.read(w0);
    this.httu = f0.HTTU.read(w0);
    this.dormhint = f0.DORMHINT.read(w0);
    this.hyp = f0.Hyp.read(w0);
    this.ats = f0.ATS.read(w0);
    this.ns1ats = f0.NS1ATS.read(w0);
    this.asid16 = f0.ASID16.read(w0);
    this.msi = f0.MSI.read(w0);
    this.sev = f0.SEV.read(w0);
    this.atos = f0.ATOS.read(w0);
    this.pri = f0.PRI.read(w0);
    this.vmw = f0.VMW.read(w0);
    this.vmid16 = f0.VMID16.read(w0);
    this.cd2l = f0.CD2L.read(w0);
    this.vatos = f0.VATOS.read(w0);
    this.ttEndian = f0.TTENDIAN.read(w0);
    this.atsRecErr = f0.ATSRECERR.read(w0);
    this.stallModel = f0.STALL_MODEL.read(w0);
    this.termModel = f0.TERM_MODEL.read(w0);
    this.stLevel = f0.ST_LEVEL.read(w0);

    this.sidBits = f1.SIDSIZE.read(w1);
    this.ssidBits = f1.SSIDSIZE.read(w1);
    this.priqsLog2 = f1.PRIQS.read(w1);
    this.eventqsLog2 = f1.EVENTQS.read(w1);
    this.cmdqsLog2 = f1.CMDQS.read(w1);
    this.attrPermsOvr = f1.ATTR_PERMS_OVR.read(w1);
    this.attrTypesOvr = f1.ATTR_TYPES_OVR.read(w1);
    this.queuesPreset = f1.QUEUES_PRESET.read(w1);
    this.tablesPreset = f1.TABLES_PRESET.read(w1);
    this.rel = f1.REL.read(w1);
    this.ecmdq = f1.ECMDQ.read(w1);
    this.ecmdqPagesLog2 = IDR6.fields.CMDQ_CONTROL_PAGE_LOG2NUMP.read(w6);
    this.ecmdqsPerPageLog2 = IDR6.fields.CMDQ_CONTROL_PAGE_LOG2NUMQ.read(w6);

    this.had = f3.HAD.read(w3);
    this.pbha = f3.PBHA.read(w3);
    this.xnx = f3.XNX.read(w3);
    this.pps = f3.PPS.read(w3);
    this.mpam = f3.MPAM.read(w3);
    this.fwb = f3.FWB.read(w3);
    this.stt = f3.STT.read(w3);
    this.ril = f3.RIL.read(w3);
    this.bbml = f3.BBML.read(w3);
    this.e0pd = f3.E0PD.read(w3);
    this.ptwnnc = f3.PTWNNC.read(w3);
    this.dpt = f3.DPT.read(w3);
    this.pasidtt = f3.PASIDTT.read(w3);
    this.epan = f3.EPAN.read(w3);
    this.s1pi = f3.S1PI.read(w3);
    this.s2pi = f3.S2PI.read(w3);
    this.s2po = f3.S2PO.read(w3);
    this.the = f3.THE.read(w3);
    this.mteperm = f3.MTEPERM.read(w3);
    this.aie = f3.AIE.read(w3);

    this.ds = f5.DS.read(w5);
    this.d128 = f5.D128.read(w5);
    this.vax = f5.VAX.read(w5);
    this.stallMax = f5.STALL_MAX.read(w5);
    this.oas = addressSizes[f5.OAS.read(w5)] ?? 52;
    this.ias = Math.max(this.ttf & 1 ? 40 : 0, this.ttf & 2 ? this.oas : 0);
  }
}
