/** Deliberate faults of a VMM, each by name: `set VM.quirks.NAME`. */

export interface VmmQuirk {
  readonly meaning: string;
  /** Class of the bug catalogue it belongs to. */
  readonly class: string;
}

// biome-ignore format: a table
export const vmmQuirks = {
  'swallow-invalidations': { class: 'missing-invalidation', meaning: 'commands that should go to the kernel are consumed and forgotten' },
  'swallow-cfgi':          { class: 'config-cache',         meaning: 'CMD_CFGI_STE and CMD_CFGI_STE_RANGE change no attachment' },
  'keep-slot-mapped':      { class: 'missing-invalidation', meaning: 'memory that a guest loses stays mapped for its devices' },
} as const satisfies Readonly<Record<string, VmmQuirk>>;

export type VmmQuirkName = keyof typeof vmmQuirks;

/** Whether there is a quirk of that name. */
export function isVmmQuirk(name: string): name is VmmQuirkName {
  return Object.hasOwn(vmmQuirks, name);
}
