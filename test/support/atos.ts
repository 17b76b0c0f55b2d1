/**
 * Address translation operations as a driver makes them, their answers as text, and the worlds they are made in:
 * a stage 1, a stage 2 and a nested stream with one page mapped.
 */
import type { MachineConfig } from '../../core/config.ts';
import { decode, encode } from '../../core/layout/layout.ts';
import type { AtosGroup } from '../../core/smmu/atos.ts';
import { atosFaultCodes } from '../../core/smmu/codes.ts';
import { eventRecords } from '../../core/smmu/event-record.ts';
import { parFault, registers } from '../../core/smmu/registers.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { at, bringUp, cd, machine, map, SID, ste, storeWords, tables } from './build.ts';
import { type Asked, on, type When } from './given.ts';
import { GUEST, guestMap, inGuest, nestedBringUp, stage2Fields } from './nested.ts';
import { idr } from './tables.ts';

export const IDENTITY = 'S2P=1 VMID16=1 HTTU=2 XNX=1 FWB=1 RIL=1 Hyp=1 ATOS=1 VATOS=1 BA_VATOS=0';
export const world = (identity = ''): MachineConfig => machine({}, { idr: idr(`${IDENTITY} ${identity}`) });
const { GATOS_SID, GATOS_ADDR, GATOS_PAR } = registers.byName;

/** Offsets of the registers of a group: page 0, and the page at 0x20000. */
export const CTRL = { GATOS: 0x100, VATOS: 0x2_0a00 } as const;
export const AT = { SID: 0x8, ADDR: 0x10, PAR: 0x18 } as const;

export interface Request {
  readonly group?: AtosGroup;
  readonly type?: 'S1' | 'S2' | 'S1S2' | 'NONE';
  readonly address?: number;
  readonly streamId?: number;
  readonly substreamId?: number;
  readonly write?: boolean;
  readonly exec?: boolean;
  readonly privileged?: boolean;
  readonly httui?: boolean;
}

export const VA = 0x1000;

export function toRegister(offset: number, size: number, value: bigint): Stimulus {
  return { type: 'mmio.write', smmu: 'smmu0', offset, size, value };
}

function wideOf(words: Uint32Array): bigint {
  return (BigInt(words[1] ?? 0) << 32n) | BigInt(words[0] ?? 0);
}

/** The writes of a request, RUN last, and the read of its answer. */
export function ask(request: Request): Stimulus[] {
  const { group = 'GATOS', type = 'S1', address = VA, streamId = SID, substreamId } = request;
  const from = CTRL[group];
  const sid = encode(GATOS_SID, {
    STREAMID: streamId,
    SUBSTREAMID: substreamId ?? 0,
    SSID_VALID: substreamId !== undefined,
  });
  const addr = encode(GATOS_ADDR, {
    ...(type === 'NONE' ? {} : { TYPE: type }),
    ADDR: address,
    RnW: request.write !== true,
    InD: request.exec === true,
    PnU: request.privileged === true,
    HTTUI: request.httui === true,
  });
  return [
    toRegister(from + AT.SID, 8, wideOf(sid)),
    toRegister(from + AT.ADDR, 8, wideOf(addr)),
    toRegister(from, 4, 1n),
    { type: 'mmio.read', smmu: 'smmu0', offset: from + AT.PAR, size: 8 },
  ];
}

const names = new Map<number, string>([
  ...Object.entries(eventRecords).map(([name, { number }]) => [number, name] as const),
  ...Object.entries(atosFaultCodes).map(([name, code]) => [code, name] as const),
]);

/** PAR as text: `0x5000 4KB ISH 0xff`, or `F_TRANSLATION reason 3 at 0x5000`. */
export function answer(when: When): string {
  const value = when.outcome['value'] as bigint;
  const words = Uint32Array.of(Number(value & 0xffff_ffffn), Number(value >> 32n));
  const { FAULT, ADDR, Size, SH, ATTR } = decode(GATOS_PAR, words);
  if (FAULT) {
    const { FAULTCODE, REASON, FADDR } = decode(parFault.GATOS_PAR, words);
    const where = REASON === 0 && FADDR === 0 ? '' : ` reason ${REASON} at 0x${FADDR.toString(16)}`;
    return `${names.get(FAULTCODE)}${where}`;
  }
  const lowest = Number(BigInt(ADDR) & -BigInt(ADDR));
  const size = Size ? lowest * 2 : 0x1000;
  const address = Size ? ADDR - lowest : ADDR;
  return `0x${address.toString(16)} ${size / 1024}KB ${SH} 0x${ATTR.toString(16)}`;
}

/** MAIR0: attribute 0 Write-Back, 1 Device-nGnRE, 2 Non-cacheable. */
export const MAIR0 = 0x44_04ff;
export const IPA = 0x5000;
export const PA = GUEST + IPA;

export const single: Asked = [bringUp(), storeWords(at.cd, cd({ MAIR0 })), tables(), map(VA, IPA)];
export const nested: Asked = [nestedBringUp(), inGuest(storeWords(at.cd, cd({ MAIR0 }))), guestMap(VA, IPA)];
export const only2: Asked = [
  nestedBringUp(),
  storeWords(at.strtab + SID * 64, ste({ Config: 'S2', ...stage2Fields })),
];
export const stream = (words: Uint32Array): Stimulus => storeWords(at.strtab + SID * 64, words);

export const asks = (past: Asked, request: Request, identity = ''): When =>
  on(world(identity)).given(past).when(ask(request));
