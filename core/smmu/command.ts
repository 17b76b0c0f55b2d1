/**
 * What each command means: when it is CERROR_ILL on the Non-secure queue, and the Scope it
 * invalidates. IHI 0070 chapter 4. The bits are in `command-layout.ts`; a command without a scope
 * here has an effect in `cmdq.ts` or none.
 */

import type { Words } from '../layout/field.ts';
import { decode } from '../layout/layout.ts';
import { type CommandFields, type CommandName, commandByOpcode, commandLayouts } from './command-layout.ts';
import { hasNoEffect, rangeAlignBytes, reservedIn } from './command-notes.ts';
import type { Regime } from './events.ts';
import type { Features } from './features.ts';
import { granuleByName } from './granule.ts';
import type { ConfigScope, Scope, TlbScope } from './invalidate.ts';

export interface CommandRow {
  /** Why the command is CERROR_ILL with these features, or undefined when it is legal. */
  illegal?(features: Features): string | undefined;
  /** What it invalidates. An empty list: nothing. */
  scopes?(fields: never, env: ScopeEnv): readonly Scope[];
}

/** What a scope depends on besides the command. */
export interface ScopeEnv {
  readonly features: Features;
  /** CR2.E2H. */
  readonly e2h: boolean;
  /** Low VMID bits that do not count (CR0.VMW); none when absent. */
  readonly wildcard?: number;
}

type Fields<N extends CommandName> = CommandFields<N>;
type Ranged = Pick<Fields<'CMD_TLBI_NH_VAA'>, 'NUM' | 'SCALE' | 'Leaf' | 'TTL' | 'TG' | 'Address'>;

const needs = (name: string, has: (features: Features) => boolean) => ({
  illegal: (features: Features) => (has(features) ? undefined : `${name}=0`),
});
const s1p = needs('IDR0.S1P', (features) => features.s1p);
const s2p = needs('IDR0.S2P', (features) => features.s2p);
const hyp = needs('IDR0.Hyp', (features) => features.hyp);
const never = { illegal: () => 'not a command of the Non-secure queue' };

const EL1: readonly Regime[] = ['EL1'];
const BOTH_EL2: readonly Regime[] = ['EL2', 'EL2_E2H'];
const LAST_SID = 0xffff_ffff;

// biome-ignore format: a table
export const commands: { readonly [N in CommandName]: Omit<CommandRow, 'scopes'> & { scopes?(fields: Fields<N>, env: ScopeEnv): readonly Scope[] } } = {
  CMD_PREFETCH_CONFIG:  {},
  CMD_PREFETCH_ADDR:    {},
  CMD_CFGI_STE:         { scopes: (c) => [streams(c.StreamID, c.StreamID, c.Leaf)] },
  CMD_CFGI_STE_RANGE:   { scopes: (c) => [streams(...sidRange(c.StreamID, c.Range), false)] },
  CMD_CFGI_CD:          { ...s1p, scopes: (c) => [{ kind: 'config', caches: c.Leaf ? ['cd'] : ['cd', 'l1cd'], first: c.StreamID, last: c.StreamID, substreamId: c.SubstreamID }] },
  CMD_CFGI_CD_ALL:      { ...s1p, scopes: (c) => [{ kind: 'config', caches: ['cd', 'l1cd'], first: c.StreamID, last: c.StreamID }] },
  CMD_CFGI_VMS_PIDM:    needs('IDR3.MPAM', (features) => features.mpam),
  CMD_TLBI_NH_ALL:      { ...s1p, scopes: (c, env) => [tlb(EL1, [1, 12], vmid(c, env))] },
  CMD_TLBI_NH_ASID:     { ...s1p, scopes: (c, env) => [tlb(EL1, [1, 12], vmid(c, env), { asid: c.ASID, globals: false })] },
  CMD_TLBI_NH_VA:       { ...s1p, scopes: (c, env) => [tlb(EL1, [1, 12], vmid(c, env), { asid: c.ASID }, ranged(c, env))] },
  CMD_TLBI_NH_VAA:      { ...s1p, scopes: (c, env) => [tlb(EL1, [1, 12], vmid(c, env), ranged(c, env))] },
  CMD_TLBI_EL3_ALL:     never,
  CMD_TLBI_EL3_VA:      never,
  CMD_TLBI_EL2_ALL:     { ...hyp, scopes: () => [tlb(BOTH_EL2, [1])] },
  CMD_TLBI_EL2_ASID:    { ...hyp, scopes: (c) => [tlb(['EL2_E2H'], [1], { asid: c.ASID, globals: false })] },
  CMD_TLBI_EL2_VA:      { ...hyp, scopes: (c, env) => [tlb(el2(env), [1], env.e2h ? { asid: c.ASID } : {}, ranged(c, env))] },
  CMD_TLBI_EL2_VAA:     { ...hyp, scopes: (c, env) => [tlb(el2(env), [1], ranged(c, env))] },
  CMD_TLBI_S12_VMALL:   { ...s2p, scopes: (c, env) => [tlb(EL1, [1, 2, 12], vmid(c, env))] },
  CMD_TLBI_S2_IPA:      { ...s2p, scopes: (c, env) => [tlb(EL1, [2], vmid(c, env), ranged(c, env))] },
  CMD_TLBI_NSNH_ALL:    { scopes: () => [tlb(EL1, [1, 2, 12])] },
  CMD_ATC_INV:          needs('IDR0.ATS', (features) => features.ats),
  CMD_PRI_RESP:         needs('IDR0.PRI', (features) => features.pri),
  CMD_RESUME:           needs('stalls (IDR0.STALL_MODEL)', (features) => features.stallModel !== 1),
  CMD_STALL_TERM:       needs('stalls (IDR0.STALL_MODEL)', (features) => features.stallModel !== 1),
  CMD_SYNC:             {},
  CMD_TLBI_S_EL2_ALL:   never,
  CMD_TLBI_S_EL2_ASID:  never,
  CMD_TLBI_S_EL2_VA:    never,
  CMD_TLBI_S_EL2_VAA:   never,
  CMD_TLBI_S_S12_VMALL: never,
  CMD_TLBI_S_S2_IPA:    never,
  CMD_TLBI_SNH_ALL:     never,
  CMD_DPTI_ALL:         needs('IDR3.DPT', (features) => features.dpt),
  CMD_DPTI_PA:          needs('IDR3.DPT', (features) => features.dpt),
};

/** Name for an opcode that the architecture does not define; it is CERROR_ILL. */
export const UNKNOWN_COMMAND = 'UNKNOWN';

/** The command of an opcode, by the first word. */
export function commandName(words: Words): CommandName | typeof UNKNOWN_COMMAND {
  return (commandByOpcode((words[0] ?? 0) & 0xff)?.name as CommandName | undefined) ?? UNKNOWN_COMMAND;
}

/**
 * Why the command is CERROR_ILL (4.1.3), or undefined when it is legal.
 * @param strict reserved bits are checked (4.1.5)
 */
export function illegalReason(words: Words, features: Features, strict = false): string | undefined {
  const name = commandName(words);
  if (name === UNKNOWN_COMMAND) return `opcode 0x${((words[0] ?? 0) & 0xff).toString(16)} is reserved`;
  const lacking = commands[name].illegal?.(features);
  if (lacking !== undefined) return lacking;
  const fields = decode(commandLayouts[name].layout, words) as Readonly<Record<string, unknown>>;
  if (fields['SSec'] === true) return 'SSec=1'; // 4.1.6
  if (name === 'CMD_SYNC' && fields['CS'] === 'RESERVED') return 'CS=3'; // 4.7.3
  if (name === 'CMD_ATC_INV' && (fields['Size'] as number) > 52) return 'Size>52'; // 4.5.1
  if (name === 'CMD_PRI_RESP' && fields['Resp'] === 'RESERVED') return 'Resp=3'; // 4.5.2
  const range =
    'TG' in fields && features.ril ? illegalRange(fields as unknown as Ranged, features) : undefined;
  return range ?? (strict ? reservedIn(words, features) : undefined);
}

/** What the command invalidates; a command that invalidates nothing here gives an empty list. */
export function scopesOf(words: Words, env: ScopeEnv): readonly Scope[] {
  const name = commandName(words);
  if (name === UNKNOWN_COMMAND || hasNoEffect(words, env.features)) return [];
  const row = commands[name] as CommandRow;
  return row.scopes?.(decode(commandLayouts[name].layout, words) as never, env) ?? [];
}

/** CMD_CFGI_STE*: the STEs, what was fetched through them, and their level 1 descriptors (4.3.1, 4.3.2). */
function streams(first: number, last: number, leaf: boolean): ConfigScope {
  return {
    kind: 'config',
    caches: leaf ? ['ste', 'cd', 'l1cd'] : ['ste', 'cd', 'l1cd', 'l1std'],
    first,
    last,
  };
}

function sidRange(streamId: number, range: number): [number, number] {
  if (range >= 31) return [0, LAST_SID];
  const count = 2 ** (range + 1);
  const first = streamId - (streamId % count);
  return [first, first + count - 1];
}

/** A scope of all entries of the regimes and stages, but for what `parts` say. */
function tlb(
  regimes: readonly Regime[],
  stages: readonly number[],
  ...parts: readonly Partial<TlbScope>[]
): TlbScope {
  return Object.assign({ kind: 'tlb', regimes, stages, globals: true, leafOnly: false } as const, ...parts);
}

/** The VMID to match: any when stage 2 is not implemented (4.4.2). */
function vmid(
  fields: { readonly VMID: number },
  { features, wildcard = 0 }: ScopeEnv,
): Pick<TlbScope, 'vmid' | 'wildcard'> {
  if (!features.s2p) return { vmid: 0 };
  return wildcard === 0 ? { vmid: fields.VMID } : { vmid: fields.VMID, wildcard };
}

function el2(env: ScopeEnv): readonly Regime[] {
  return env.e2h ? ['EL2_E2H'] : ['EL2'];
}

/** Address, range, granule and level hint (4.4.1.1). */
export function ranged(
  c: Ranged,
  { features }: ScopeEnv,
): Pick<TlbScope, 'range' | 'granuleLog2' | 'level' | 'leafOnly'> {
  const start = BigInt(c.Address) & 0xff_ffff_ffff_ffffn;
  const granule = features.ril ? granuleByName[c.TG] : undefined;
  if (granule === undefined) return { range: { start, end: start + 4096n }, leafOnly: c.Leaf };
  const scale = features.ds ? Math.min(c.SCALE, 39) : c.SCALE & 0x1f;
  const page = BigInt(2 ** granule.pageLog2);
  const level = effectiveTtl(c, features);
  const align = BigInt(rangeAlignBytes(granule, level));
  // A misaligned range is unpredictable; the choice is to round the start down and keep the end.
  const end = start + BigInt(c.NUM + 1) * (1n << BigInt(scale)) * page;
  return {
    range: { start: start - (start % align), end },
    granuleLog2: granule.pageLog2,
    leafOnly: c.Leaf,
    ...(level === 0 ? {} : { level }),
  };
}

function effectiveTtl(c: Ranged, features: Features): number {
  return c.TG === '16KB' && c.TTL === 1 && !features.ds ? 0 : c.TTL;
}

/** A single granule (NUM=0, SCALE=0) with TG must give a level (4.4.1.1). */
function illegalRange(c: Ranged, features: Features): string | undefined {
  const scale = features.ds ? c.SCALE : c.SCALE & 0x1f;
  const single = c.TG !== 'NONE' && c.NUM === 0 && scale === 0 && effectiveTtl(c, features) === 0;
  return single ? 'TG with NUM=0, SCALE=0 and TTL=0' : undefined;
}
