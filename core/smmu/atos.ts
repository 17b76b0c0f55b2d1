/**
 * Address translation operations: IHI 0070 9, 6.3.37 to 6.3.40, 6.3.99 to 6.3.102. Software sets RUN; in its turn
 * the SMMU looks the address up as a transaction would be, without records, stalls and the STE's
 * overrides, writes PAR and clears RUN.
 */
import { type Decoded, decode, encode } from '../layout/layout.ts';
import { wide } from '../layout/words.ts';
import type { Context } from '../machine.ts';
import { attrIndexOf, shareabilityOf } from './attributes.ts';
import { memAttrOf, shareability2Of } from './attributes2.ts';
import type { Cd } from './cd.ts';
import { atosFaultCodes } from './codes.ts';
import { findCd, findSte, selectCd } from './configuration.ts';
import { type EventRecordName, eventRecords } from './event-record.ts';
import type { Fault } from './fault.ts';
import type { Features } from './features.ts';
import { ordinary, type Updates } from './httu.ts';
import {
  DEFAULT_TYPE,
  type MemoryType,
  type Shareability,
  shareability,
  stage1Type,
  throughStage2,
} from './memory-type.ts';
import { parFault, registers } from './registers.ts';
import { enabled, isE2h, reg, regWords } from './regs.ts';
import { regimeOf, stage1Of } from './stage1.ts';
import { stage2Of } from './stage2.ts';
import { type Asked, type Output, translateStages } from './stages.ts';
import type { SmmuState } from './state.ts';
import { type Ste, steConfig } from './ste.ts';
import { updateRegister } from './update-register.ts';

/** A group of registers that can have one request under way. */
export type AtosGroup = 'GATOS' | 'VATOS';
const groups: readonly AtosGroup[] = ['GATOS', 'VATOS'];

const { GATOS_SID, GATOS_ADDR, GATOS_PAR } = registers.byName;
type Address = Decoded<typeof GATOS_ADDR>;

interface Found {
  readonly ok: true;
  readonly address: number;
  readonly sizeLog2: number;
  readonly type: MemoryType;
}
interface Failed {
  readonly ok: false;
  readonly code: number;
  /** 0 stage 1 or none, 1 CD, 2 TT, 3 IN at stage 2. */
  readonly reason: number;
  readonly faddr: number;
}
type Answer = Found | Failed;

const fail = (code: number, reason = 0, faddr = 0): Failed => ({ ok: false, code, reason, faddr });
const event = (record: EventRecordName): Failed => fail(eventRecords[record].number);

/** HTTUI=1: a writable-clean page is writable and stays clean, AF=0 is as good as 1 (9, 6.3.39). */
const inhibited: Updates = { af: false, dirty: 'pass' };

function isRunning(smmu: SmmuState, group: AtosGroup): boolean {
  return (reg(smmu, `${group}_CTRL`) & 1) !== 0;
}

/** Whether a group has a request under way. */
export function atosReady(group: AtosGroup): (smmu: SmmuState) => boolean {
  const control = `${group}_CTRL` as const;
  return (smmu) => (reg(smmu, control) & 1) !== 0;
}

/** The turn of a group: answers its request. */
export function answerAtos(group: AtosGroup): (context: Context, smmu: SmmuState) => void {
  return (context, smmu) => finish(context, smmu, group, lookUp(context, smmu, group));
}

/** SMMUEN goes to 0: requests under way end (6.3.9.6). */
export function endAtos(context: Context, smmu: SmmuState): void {
  for (const group of groups)
    if (isRunning(smmu, group)) finish(context, smmu, group, fail(atosFaultCodes.INTERNAL_ERR));
}

/** PAR first: it is valid once RUN reads 0 (9.1.4). */
function finish(context: Context, smmu: SmmuState, group: AtosGroup, answer: Answer): void {
  const par = answer.ok ? success(answer) : failure(smmu.features, group, answer);
  updateRegister(context, smmu, `${group}_PAR`, par);
  updateRegister(context, smmu, `${group}_CTRL`, 0);
}

/** The size is the lowest 1 of ADDR: bit N of it for 2^(N+1) bytes; 4KB has none (6.3.40). */
function success({ address, sizeLog2, type: { attr: ATTR, sh: SH } }: Found): bigint {
  const Size = sizeLog2 > 12;
  const size = 2 ** Math.max(12, sizeLog2);
  const ADDR = address - (address % size) + (Size ? size / 2 : 0);
  const [low = 0, high = 0] = encode(GATOS_PAR, { FAULT: false, SH, Size, ADDR, ATTR });
  return wide(high, low);
}

/** FADDR holds the page, up to OAS. */
function failure({ oas }: Features, group: AtosGroup, { code, reason, faddr }: Failed): bigint {
  const FADDR = (faddr - (faddr % 4096)) % 2 ** oas;
  const of = parFault[`${group}_PAR`];
  const [low = 0, high = 0] = encode(of, { FAULT: true, REASON: reason, FAULTCODE: code, FADDR });
  return wide(high, low);
}

/** Steps in the order of 9.1.5. */
function lookUp(context: Context, smmu: SmmuState, group: AtosGroup): Answer {
  const { features } = smmu;
  const asked = decode(GATOS_ADDR, regWords(smmu, `${group}_ADDR`));
  const { STREAMID, SUBSTREAMID, SSID_VALID } = decode(GATOS_SID, regWords(smmu, `${group}_SID`));
  if (!enabled.smmu(smmu)) return fail(atosFaultCodes.INTERNAL_ERR);
  if (!isValid(group, asked.TYPE, SSID_VALID, features)) return fail(atosFaultCodes.INV_REQ);

  const found = findSte(context, smmu, STREAMID);
  if (!found.ok) return event(found.fault.record);
  const ste = found.held.value;
  if (group === 'VATOS' && vmidTag(ste, smmu) !== reg(smmu, 'VATOS_SEL')) return event('C_BAD_STE');
  if (!hasStages(ste, asked.TYPE)) return fail(atosFaultCodes.INV_STAGE);

  const updates = asked.HTTUI ? inhibited : ordinary;
  let cd: Cd | undefined;
  if (asked.TYPE !== 'S2') {
    const selected = selectCd(ste, SSID_VALID ? SUBSTREAMID : undefined, smmu);
    if (selected.kind === 'fault') return event(selected.fault.record);
    if (selected.kind === 'cd') {
      const read = findCd(context, smmu, STREAMID, ste, selected.index, updates);
      if (!read.ok) return failed(read.fault, asked.TYPE);
      cd = read.held.value;
    }
  }
  // Where stage 1 does not translate, its output size is the IPA size, which is OAS (3.4).
  if (cd === undefined && asked.ADDR >= 2 ** features.oas) return event('F_ADDR_SIZE');
  if (cd === undefined && asked.TYPE === 'S1') return bypassed(asked.ADDR, features);

  const access = accessOf(asked, ste, cd, isE2h(smmu), updates);
  const output = translateStages(context, smmu, access);
  if (!output.ok) return failed(output.fault, asked.TYPE);
  const { address, sizeLog2 } = output;
  return { ok: true, address, sizeLog2, type: typeOf(output, access, features) };
}

/** What is known to be wrong before anything is read: INV_REQ (9.1.3). */
function isValid(
  group: AtosGroup,
  type: Address['TYPE'],
  ssidValid: boolean,
  { s1p, s2p }: Features,
): boolean {
  if (group === 'VATOS') return type === 'S1' && s1p;
  if (type === 'S1') return s1p;
  if (type === 'S2') return s2p && !ssidValid;
  return type === 'S1S2' && s1p && s2p;
}

/** The VMID that tags the translations of a stream, or undefined where none does (5.2 S2VMID, 9.1.6). */
function vmidTag(ste: Ste, smmu: SmmuState): number | undefined {
  const config = steConfig(ste);
  if (config === 'S2' || config === 'NESTED') return ste.S2VMID;
  if (config !== 'S1' || !smmu.features.s2p) return undefined;
  return regimeOf(ste, smmu.features, isE2h(smmu)) === 'EL1' ? ste.S2VMID : undefined;
}

/** STE.Config alone decides, not S1DSS (9.1.3). */
function hasStages({ Config }: Ste, type: Address['TYPE']): boolean {
  if (Config === 'NESTED') return true;
  return (type === 'S1' && Config === 'S1') || (type === 'S2' && Config === 'S2');
}

/** Stage 1 is bypassed and stage 2 not asked for: the smallest size, and the default attributes (9.1.3). */
function bypassed(address: number, { granules }: Features): Found {
  return { ok: true, address, sizeLog2: Math.min(...granules), type: DEFAULT_TYPE };
}

function accessOf(
  { ADDR, RnW, InD, PnU, TYPE }: Address,
  ste: Ste,
  cd: Cd | undefined,
  e2h: boolean,
  updates: Updates,
): Asked {
  return {
    iova: BigInt(ADDR),
    write: !RnW,
    exec: RnW && InD,
    privileged: PnU,
    ste,
    cd,
    e2h,
    updates,
    only: TYPE === 'S1' ? 1 : undefined,
  };
}

const reasons = { CD: 1, TT: 2, IN: 3 } as const;

/** The table of 9.1.4: a fault as each type of request shows it. */
function failed({ record, s2, class: of = 'IN', ipa = 0 }: Fault, type: Address['TYPE']): Failed {
  if (s2 !== true) return event(record);
  // Stage 1 alone is asked for: what stage 2 refuses is a fetch that aborted.
  if (type === 'S1') return event(of === 'CD' ? 'F_CD_FETCH' : 'F_WALK_EABT');
  const tellsIpa = type === 'S1S2' && record !== 'F_WALK_EABT';
  return fail(eventRecords[record].number, reasons[of], tellsIpa ? ipa : 0);
}

/** What the descriptors say, without the STE's overrides (9.1.4). */
function typeOf(
  { attributes, attributes2 }: Output,
  { ste, cd, e2h, iova }: Asked,
  features: Features,
): MemoryType {
  let type = DEFAULT_TYPE;
  if (cd !== undefined && attributes !== undefined) {
    const { walk, upper } = stage1Of(cd, ste, e2h, features, iova);
    const index = attrIndexOf(attributes);
    const mair = ((index < 4 ? cd.MAIR0 : cd.MAIR1) >>> ((index & 3) * 8)) & 0xff;
    // With 52-bit outputs the place of SH is taken by the address (5.4 DS).
    const sh = walk.ds ? named(upper ? cd.SH1 : cd.SH0) : shareability(shareabilityOf(attributes));
    type = stage1Type(mair, sh);
  }
  if (attributes2 === undefined) return type;
  const { walk, fwb } = stage2Of(ste, features);
  const sh = walk.ds ? named(ste.S2SH0) : shareability(shareability2Of(attributes2));
  return throughStage2(type, { memAttr: memAttrOf(attributes2), sh, fwb, mtePerm: features.mteperm });
}

function named(sh: Shareability | 'RESERVED'): Shareability {
  return sh === 'RESERVED' ? 'NSH' : sh;
}
