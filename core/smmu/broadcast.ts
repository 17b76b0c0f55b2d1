/**
 * Broadcast TLB maintenance: what a PE's TLBI of the Inner or Outer Shareable domain does to the SMMUs that
 * take part (IHI 0070 3.17, 6.3.12.1, 16.7.7). Each operation is a row that becomes a TlbScope, as the commands
 * do; it touches neither configuration caches nor ATCs, and no CMD_SYNC waits for it. Non-secure state; the
 * DVM Sync that completes it is not modelled: it is done at once.
 */
import { own } from '../lookup.ts';
import type { Context, Decider } from '../machine.ts';
import type { StimulusOf } from '../stimulus.ts';
import { applyScope } from './apply-scope.ts';
import { ranged } from './command.ts';
import type { Features } from './features.ts';
import type { TlbScope } from './invalidate.ts';
import { reg, vmidWildcard } from './regs.ts';
import type { SmmuState } from './state.ts';

export type BroadcastOperand = 'vmid' | 'asid' | 'va' | 'ipa';

export interface BroadcastRow {
  /** Exception level whose translations it is for. */
  readonly level: 'EL1' | 'EL2';
  readonly stages: readonly number[];
  /** What the message carries; an ASID of EL2 only from a PE with E2H. */
  readonly takes: readonly BroadcastOperand[];
  /** Table entries are left alone. */
  readonly leaf?: boolean;
  /** Only a PE in EL2-E2H sends it (3.17.5). */
  readonly e2hOnly?: boolean;
  /** The address begins a range: NUM, SCALE, TG, TTL come with it. */
  readonly range?: boolean;
}

// biome-ignore format: a table
const byAddress = {
  VAE1:       { level: 'EL1', stages: [1, 12],    takes: ['vmid', 'asid', 'va'] },
  VALE1:      { level: 'EL1', stages: [1, 12],    takes: ['vmid', 'asid', 'va'], leaf: true },
  VAAE1:      { level: 'EL1', stages: [1, 12],    takes: ['vmid', 'va'] },
  VAALE1:     { level: 'EL1', stages: [1, 12],    takes: ['vmid', 'va'], leaf: true },
  IPAS2E1:    { level: 'EL1', stages: [2],        takes: ['vmid', 'ipa'] },
  IPAS2LE1:   { level: 'EL1', stages: [2],        takes: ['vmid', 'ipa'], leaf: true },
  VAE2:       { level: 'EL2', stages: [1],        takes: ['asid', 'va'] },
  VALE2:      { level: 'EL2', stages: [1],        takes: ['asid', 'va'], leaf: true },
  VAAE2:      { level: 'EL2', stages: [1],        takes: ['va'], e2hOnly: true },
  VAALE2:     { level: 'EL2', stages: [1],        takes: ['va'], leaf: true, e2hOnly: true },
} as const satisfies Readonly<Record<string, BroadcastRow>>;

// biome-ignore format: a table
const byTag = {
  ASIDE1:     { level: 'EL1', stages: [1, 12],    takes: ['vmid', 'asid'] },
  VMALLE1:    { level: 'EL1', stages: [1, 12],    takes: ['vmid'] },
  VMALLS12E1: { level: 'EL1', stages: [1, 2, 12], takes: ['vmid'] },
  ALLE1:      { level: 'EL1', stages: [1, 2, 12], takes: [] },
  ASIDE2:     { level: 'EL2', stages: [1],        takes: ['asid'], e2hOnly: true },
  ALLE2:      { level: 'EL2', stages: [1],        takes: [] },
} as const satisfies Readonly<Record<string, BroadcastRow>>;

/** The operations by name; those that begin with R take a range. */
export const broadcasts: Readonly<Record<string, BroadcastRow>> = {
  ...byAddress,
  ...byTag,
  ...Object.fromEntries(
    Object.entries(byAddress).map(([name, row]) => [`R${name}`, { ...row, range: true }]),
  ),
};

export interface BroadcastMessage {
  readonly vmid: number;
  readonly asid: number;
  /** VA or IPA. */
  readonly address: bigint;
  /** The PE is in EL2-E2H. */
  readonly e2h: boolean;
  // Of a range: (num + 1) * 2^(5 * scale + 1) granules (Arm ARM C5.5, TLBI RVAE1).
  readonly tg: '4KB' | '16KB' | '64KB';
  readonly num: number;
  readonly scale: number;
  readonly ttl: number;
}

/** What the PE sends for the stimulus: fields as wide as the message has them. */
export function broadcastMessage(row: BroadcastRow, stimulus: StimulusOf<'cpu.tlbi'>): BroadcastMessage {
  const { vmid = 0, asid = 0, va = 0n, ipa = 0, el2 = true, e2h = false } = stimulus;
  const { tg = '4KB', num = 0, scale = 0, ttl = 0 } = stimulus;
  return {
    // A PE without EL2 has no VMIDs: its messages count as of VMID 0 (3.17).
    vmid: el2 ? vmid : 0,
    asid,
    address: row.takes.includes('ipa') ? BigInt(ipa) : va,
    e2h: el2 && e2h,
    tg,
    num: num % 32,
    scale: scale % 4,
    ttl: ttl % 4,
  };
}

export const receiveBroadcast: Decider<'cpu.tlbi'> = (context, stimulus) => {
  const row = own(broadcasts, stimulus.operation);
  if (row === undefined) return;
  const message = broadcastMessage(row, stimulus);
  // What a VMM emulates hears of nothing that is broadcast.
  for (const smmu of Object.values(context.state.smmus))
    if (smmu.features.btm && smmu.config.space === undefined)
      receive(context, smmu, stimulus.operation, row, message);
};

function receive(
  context: Context,
  smmu: SmmuState,
  operation: string,
  row: BroadcastRow,
  message: BroadcastMessage,
): void {
  const name = smmu.config.name;
  const why = ignoredBecause(smmu, row, message);
  const { vmid, asid, address } = message;
  const takes = (operand: BroadcastOperand): boolean => row.takes.includes(operand);
  const received = context.emit(name, {
    type: 'broadcast.received',
    smmu: name,
    operation,
    ...(takes('vmid') ? { vmid } : {}),
    ...(takesAsid(row, message) ? { asid } : {}),
    ...(takes('va') ? { va: address } : {}),
    ...(takes('ipa') ? { ipa: Number(address) } : {}),
    ...(why === undefined ? {} : { why }),
  });
  if (why !== undefined) return;
  const scope = broadcastScope(row, message, smmu.features, vmidWildcard(smmu));
  applyScope(context, smmu, scope, received);
}

/** Why the SMMU does nothing: it does not take part, or the message is about what it does not have (3.17). */
function ignoredBecause(smmu: SmmuState, row: BroadcastRow, { e2h }: BroadcastMessage): string | undefined {
  // PTM=1 lets it ignore them; the choice is to ignore (6.3.12.1).
  if ((reg(smmu, 'CR2') & PTM) !== 0) return 'CR2.PTM=1';
  const lacking = broadcastNeeds(row).find((name) => !has[name](smmu.features));
  if (lacking !== undefined) return `${lacking}=0`;
  if (row.e2hOnly === true && !e2h) return 'a PE without E2H does not send it';
  return undefined;
}

const has = {
  'IDR0.Hyp': ({ hyp }: Features): boolean => hyp,
  'IDR0.S1P': ({ s1p }: Features): boolean => s1p,
  'IDR0.S2P': ({ s2p }: Features): boolean => s2p,
  'IDR3.RIL': ({ ril }: Features): boolean => ril,
} as const;

/** What an SMMU must have for an operation to mean anything; a combined one acts on the stage that is there. */
export function broadcastNeeds({
  level,
  stages,
  range = false,
}: BroadcastRow): readonly (keyof typeof has)[] {
  return [
    ...(level === 'EL2' ? (['IDR0.Hyp'] as const) : []),
    ...(stages.includes(2) ? [] : (['IDR0.S1P'] as const)),
    ...(stages.includes(1) ? [] : (['IDR0.S2P'] as const)),
    ...(range ? (['IDR3.RIL'] as const) : []),
  ];
}

const PTM = 1 << 2;

const takesAsid = (row: BroadcastRow, { e2h }: BroadcastMessage): boolean =>
  row.takes.includes('asid') && (row.level === 'EL1' || e2h);

/**
 * What an operation covers. Tags are compared in 16 bits: an SMMU with 8-bit ASIDs or VMIDs has none that a
 * longer one could match (3.17.4). Entries of the other kind of EL2 are left alone (3.17.5).
 * @param wildcard low VMID bits that do not count (CR0.VMW).
 */
export function broadcastScope(
  row: BroadcastRow,
  message: BroadcastMessage,
  features: Features,
  wildcard: number,
): TlbScope {
  const { level, stages, takes } = row;
  const { vmid, asid, e2h } = message;
  const addressed = takes.includes('va') || takes.includes('ipa');
  const tagged = takesAsid(row, message);
  const el2 = level === 'EL2' && !e2h;
  return {
    kind: 'tlb',
    regimes: level === 'EL1' ? ['EL1'] : e2h ? ['EL2_E2H'] : ['EL2'],
    stages,
    ...(takes.includes('vmid') ? { vmid, ...(wildcard === 0 ? {} : { wildcard }) } : {}),
    ...(tagged ? { asid } : {}),
    // CD.ASET=1: an address space of its own, which what names an ASID (at EL2, an address) leaves alone.
    ...(tagged || (el2 && addressed) ? { sharedOnly: true } : {}),
    globals: addressed || !tagged,
    leafOnly: false,
    ...(addressed ? addresses(row, message, features) : {}),
  };
}

/** The range as a command would give it, whose SCALE counts in single powers of two (4.4.1.1). */
function addresses(row: BroadcastRow, message: BroadcastMessage, features: Features) {
  const { tg, num, scale, ttl, address } = message;
  const bits = row.range === true ? pageBits[tg] : pageBits['4KB'];
  const Address = Number((address >> bits) << bits);
  const range =
    row.range === true
      ? { TG: tg, NUM: num, SCALE: 5 * scale + 1, TTL: ttl }
      : { TG: 'NONE' as const, NUM: 0, SCALE: 0, TTL: 0 };
  return ranged({ ...range, Address, Leaf: row.leaf ?? false }, { features, e2h: message.e2h });
}

const pageBits = { '4KB': 12n, '16KB': 14n, '64KB': 16n } as const;
