/** A model of what processes have mapped and which devices are bound to them, that follows the answers of a log. */
import type { Entry } from '../../core/event.ts';
import type { Stimulus } from '../../core/stimulus.ts';

export const PAGE = 0x1000;
export type Rights = 'read' | 'read-write';

export interface Mapped {
  readonly pa: number;
  readonly access: Rights;
}

/** What the answers say. */
export interface Model {
  readonly pages: Map<string, Mapped>;
  /** By process and endpoint. */
  readonly bonds: Map<string, { ssid: number; users: number }>;
  /** Calls under way, by seq. */
  readonly calls: Map<number, Stimulus>;
}

const SCOPED: ReadonlySet<string> = new Set([
  'mm.map',
  'mm.unmap',
  'mm.protect',
  'mm.exit',
  'sva.bind',
  'sva.unbind',
]);

function pagesOf({ va, bytes }: { readonly va: bigint; readonly bytes: number }): readonly number[] {
  return Array.from({ length: bytes / PAGE }, (_, at) => Number(va) + at * PAGE);
}

/** Nothing is mapped, nobody is bound. */
export function newModel(): Model {
  return { pages: new Map(), bonds: new Map(), calls: new Map() };
}

/** Follows an entry. */
export function follow(model: Model, entry: Entry): void {
  if (SCOPED.has(entry.type)) model.calls.set(entry.seq, entry as unknown as Stimulus);
  if (entry.type !== 'guest.answered') return;
  const call = model.calls.get(entry.call);
  if (call !== undefined) answered(model, call, entry.errno, entry.value ?? {});
  model.calls.delete(entry.call);
}

/** An answer changes the model. */
function answered(
  { pages, bonds }: Model,
  call: Stimulus,
  errno: string | undefined,
  value: Readonly<Record<string, number>>,
): void {
  if (errno !== undefined) return;
  if (call.type === 'mm.map')
    for (const [at, va] of pagesOf(call).entries())
      pages.set(`${call.mm} ${va}`, {
        pa: (value['pa'] ?? 0) + at * PAGE,
        access: call.access ?? 'read-write',
      });
  if (call.type === 'mm.unmap') for (const va of pagesOf(call)) pages.delete(`${call.mm} ${va}`);
  if (call.type === 'mm.protect')
    for (const va of pagesOf(call)) {
      const found = pages.get(`${call.mm} ${va}`);
      if (found !== undefined) pages.set(`${call.mm} ${va}`, { ...found, access: call.access });
    }
  if (call.type === 'mm.exit')
    for (const key of [...pages.keys()]) if (key.startsWith(`${call.mm} `)) pages.delete(key);
  if (call.type === 'sva.bind') {
    const key = `${call.mm} ${call.endpoint}`;
    bonds.set(key, { ssid: value['ssid'] ?? 0, users: (bonds.get(key)?.users ?? 0) + 1 });
  }
  if (call.type === 'sva.unbind') {
    const key = `${call.mm} ${call.endpoint}`;
    const bond = bonds.get(key);
    if (bond !== undefined && bond.users > 1) bond.users -= 1;
    else bonds.delete(key);
  }
}

/** Whether a device is losing a process. */
export function isUnbinding({ calls }: Model, process: string, endpoint: string): boolean {
  return [...calls.values()].some(
    (call) => call.type === 'sva.unbind' && call.mm === process && call.endpoint === endpoint,
  );
}

/** Whether a call may be changing what an access meets. */
export function isUnsettled({ calls }: Model, process: string, va: number, endpointName: string): boolean {
  return [...calls.values()].some((call) => {
    if (!('mm' in call) || call.mm !== process) return false;
    if (call.type === 'sva.bind' || call.type === 'sva.unbind') return call.endpoint === endpointName;
    return !('va' in call) || pagesOf(call as { va: bigint; bytes: number }).includes(va);
  });
}
