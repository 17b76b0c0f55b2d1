/**
 * What an SMMU can do, read from its identification registers once for all questions: they are
 * constant after reset. A class so that immer leaves it alone; it is derived, so no snapshot holds it.
 */
import { addressSizes } from './codes.ts';
import { registers } from './registers.ts';

const { IDR0, IDR1, IDR3, IDR5 } = registers.byName;

export class Features {
  readonly s1p: boolean;
  readonly s2p: boolean;
  readonly hyp: boolean;
  readonly ats: boolean;
  readonly pri: boolean;
  readonly btm: boolean;
  readonly vmw: boolean;
  readonly atsRecErr: boolean;
  readonly atos: boolean;
  readonly vatos: boolean;
  readonly ecmdq: boolean;
  readonly s2pi: boolean;
  readonly attrPermsOvr: boolean;
  readonly msi: boolean;
  readonly sev: boolean;
  readonly asid16: boolean;
  readonly vmid16: boolean;
  readonly cd2l: boolean;
  readonly ttf: number;
  readonly httu: number;
  readonly ttEndian: number;
  readonly stallModel: number;
  readonly termModel: boolean;
  readonly stLevel: number;
  readonly sidBits: number;
  readonly ssidBits: number;
  readonly cmdqsLog2: number;
  readonly eventqsLog2: number;
  readonly ril: boolean;
  readonly stt: boolean;
  readonly had: boolean;
  readonly e0pd: boolean;
  readonly epan: boolean;
  readonly mpam: boolean;
  readonly dpt: boolean;
  readonly ds: boolean;
  readonly vax: number;
  /** Granules by their log2: 12, 14, 16. */
  readonly granules: ReadonlySet<number>;
  /** Output address size in bits. */
  readonly oas: number;

  /** @param idr identification registers by name; absent ones are 0. */
  constructor(idr: Readonly<Record<string, number>>) {
    const w0 = [idr['IDR0'] ?? 0];
    const w1 = [idr['IDR1'] ?? 0];
    const w3 = [idr['IDR3'] ?? 0];
    const w5 = [idr['IDR5'] ?? 0];
    const f0 = IDR0.fields;
    const granules = new Set<number>();
    if (IDR5.fields.GRAN4K.read(w5)) granules.add(12);
    if (IDR5.fields.GRAN16K.read(w5)) granules.add(14);
    if (IDR5.fields.GRAN64K.read(w5)) granules.add(16);
    this.granules = granules;
    this.s1p = f0.S1P.read(w0);
    this.s2p = f0.S2P.read(w0);
    this.hyp = f0.Hyp.read(w0);
    this.ats = f0.ATS.read(w0);
    this.pri = f0.PRI.read(w0);
    this.btm = f0.BTM.read(w0);
    this.vmw = f0.VMW.read(w0);
    this.atsRecErr = f0.ATSRECERR.read(w0);
    this.atos = f0.ATOS.read(w0);
    this.vatos = f0.VATOS.read(w0);
    this.ecmdq = IDR1.fields.ECMDQ.read(w1);
    this.s2pi = IDR3.fields.S2PI.read(w3);
    this.attrPermsOvr = IDR1.fields.ATTR_PERMS_OVR.read(w1);
    this.msi = f0.MSI.read(w0);
    this.sev = f0.SEV.read(w0);
    this.asid16 = f0.ASID16.read(w0);
    this.vmid16 = f0.VMID16.read(w0);
    this.cd2l = f0.CD2L.read(w0);
    this.ttf = f0.TTF.read(w0);
    this.httu = f0.HTTU.read(w0);
    this.ttEndian = f0.TTENDIAN.read(w0);
    this.stallModel = f0.STALL_MODEL.read(w0);
    this.termModel = f0.TERM_MODEL.read(w0);
    this.stLevel = f0.ST_LEVEL.read(w0);
    this.sidBits = IDR1.fields.SIDSIZE.read(w1);
    this.ssidBits = IDR1.fields.SSIDSIZE.read(w1);
    this.cmdqsLog2 = IDR1.fields.CMDQS.read(w1);
    this.eventqsLog2 = IDR1.fields.EVENTQS.read(w1);
    this.ril = IDR3.fields.RIL.read(w3);
    this.stt = IDR3.fields.STT.read(w3);
    this.had = IDR3.fields.HAD.read(w3);
    this.e0pd = IDR3.fields.E0PD.read(w3);
    this.epan = IDR3.fields.EPAN.read(w3);
    this.mpam = IDR3.fields.MPAM.read(w3);
    this.dpt = IDR3.fields.DPT.read(w3);
    this.ds = IDR5.fields.DS.read(w5);
    this.vax = IDR5.fields.VAX.read(w5);
    this.oas = addressSizes[IDR5.fields.OAS.read(w5)] ?? 52;
  }
}
