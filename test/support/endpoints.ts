/**
 * Machines with an endpoint that has ATS and PRI: what they ask, the PRI queue, and bring-up with the enables
 * and the CR2 bits that a test means.
 */
import type { Capacity, EndpointConfig, MachineConfig, SmmuConfig } from '../../core/config.ts';
import type { Ste } from '../../core/smmu/ste.ts';
import type { Stimulus, StimulusOf } from '../../core/stimulus.ts';
import { at, bringUp, cd, map, SID, ste, storeWords, tables, write } from './build.ts';
import { type Asked, type Given, on } from './given.ts';
import { guestMap, inGuest, nestedMachine, nestedSte, s2Tables } from './nested.ts';
import { idr } from './tables.ts';

export const PRIQ = 0x5_0000;
/** A StreamID behind the end of the stream table of `bringUp`. */
export const FAR_SID = 0x1000;

const FEATURES = 'S2P VMID16 HTTU=2 XNX ATS ATSRECERR PRI PRIQS=8 STALL_MODEL=0 Hyp';

export interface Parts {
  /** Identification fields that differ: `PPS=1 PASIDTT=1`. */
  readonly idr?: string;
  readonly atc?: Capacity;
  readonly smmu?: Partial<SmmuConfig>;
}

/** `dev0` as in `build.ts`, `far` beyond the stream table, both with ATS and PRI on. */
export function atsMachine({ idr: fields = '', atc = 'unbounded', smmu = {} }: Parts = {}): MachineConfig {
  const endpoint = (name: string, streamId: number): EndpointConfig => {
    return { name, smmu: 'smmu0', streamId, ats: true, pri: true, ssidBits: 20, atc };
  };
  const endpoints = [endpoint('dev0', SID), endpoint('far', FAR_SID)];
  return nestedMachine({ endpoints }, { idr: idr(`${FEATURES} ${fields}`), ...smmu });
}

export interface Enables {
  /** CR0 at the end; SMMUEN, EVENTQEN, CMDQEN and ATSCHK when left out. */
  readonly cr0?: number | undefined;
  /** CR2: RECINVSID is 2, REC_CFG_ATS 8. */
  readonly cr2?: number;
  readonly priqLog2?: number;
  readonly priqBase?: number;
  readonly strtab?: number | undefined;
  /** PRIQ_IRQ_CFG2.LO. */
  readonly lastOnly?: boolean;
}

export const CHECKED = 0x1d;
export const UNCHECKED = 0xd;
export const WITH_PRIQ = 0x1f;

/** Bring-up of `build.ts` with a PRI queue, other enables, another CR2 or stream table. */
export function enable(options: Enables = {}): Stimulus[] {
  const { cr0 = CHECKED, cr2 = 2, priqLog2 = 2, priqBase = PRIQ, strtab = at.strtab, lastOnly } = options;
  const queue = [
    write('PRIQ_BASE', BigInt(priqBase) | BigInt(priqLog2)),
    write('PRIQ_PROD', 0),
    write('PRIQ_CONS', 0),
    write('PRIQ_IRQ_CFG2', lastOnly === true ? 0x8000_0000 : 0),
  ];
  const changed = bringUp().map((each) => {
    if (each.type !== 'mmio.write') return each;
    if (each.offset === 0x2c) return write('CR2', cr2);
    if (each.offset === 0x80) return write('STRTAB_BASE', strtab);
    if (each.offset === 0x50) return write('IRQ_CTRL', 7);
    return each;
  });
  return [...queue, ...changed, write('CR0', cr0)];
}

/** A Translation Request of `dev0` for a read, unless told otherwise. */
export function translate(
  iova: number | bigint,
  asked: Partial<Omit<StimulusOf<'ats.translate'>, 'type'>> = {},
): Stimulus {
  return {
    type: 'ats.translate',
    endpoint: 'dev0',
    iova: BigInt(iova),
    size: 1,
    access: 'read',
    ...asked,
  };
}

/** A Translated DMA of `dev0`. */
export function translated(
  iova: number | bigint,
  access: 'read' | 'write' = 'read',
  besides: Partial<StimulusOf<'dma'>> = {},
): Stimulus {
  return { type: 'dma', endpoint: 'dev0', iova: BigInt(iova), size: 8, access, translated: true, ...besides };
}

/** A Page Request of `dev0`: to read, the last of group 1, unless told otherwise. */
export function pageRequest(iova: number, asked: Partial<StimulusOf<'pri.request'>> = {}): Stimulus {
  const usual = { endpoint: 'dev0', access: 'read', prgIndex: 1, last: true } as const;
  return { type: 'pri.request', iova: BigInt(iova), ...usual, ...asked };
}

/** Switches of `dev0`. */
export function endpointSet(set: Readonly<Record<string, boolean>>): Stimulus {
  return { type: 'endpoint.set', endpoint: 'dev0', set };
}

/** The page that the worlds map: to `at.data`, or through IPA 0x5000 behind stage 2. */
export const IOVA = 0x4000;

/** The STE of a stage 1 stream with ATS. */
export function atsStream(fields: Partial<Ste> = {}): Stimulus {
  return storeWords(at.strtab + SID * 64, ste({ EATS: 'FULL', ...fields }));
}

/** The STE of a nested stream with ATS. */
export function nestedStream(fields: Partial<Ste> = {}): Stimulus {
  return storeWords(at.strtab + SID * 64, nestedSte({ EATS: 'FULL', ...fields }));
}

/** A nested stream: stage 2 for 32 MiB, and one page of the guest. */
export function guestStream(fields: Partial<Ste> = {}): Asked {
  const structures = [storeWords(at.cd, cd()), ...tables()].map(inGuest);
  return [nestedStream(fields), s2Tables(32), structures, guestMap(IOVA, 0x5000)];
}

/** A stage 1 stream with ATS and one page; `change` comes after the enables. */
export function atsWorld(change: Asked = [], parts: Parts = {}, enables: Enables = {}): Given {
  const first = [tables(), map(IOVA, at.data)];
  return on(atsMachine(parts)).given(first, enable(enables), atsStream(), change);
}
