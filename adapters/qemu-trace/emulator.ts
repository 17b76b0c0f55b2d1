/**
 * The emulator's registers as its own rules make them (QEMU 7.2, `hw/arm/smmuv3.c`): raw stores, no
 * guards, acknowledged at once. They tell which difference is a known habit, and what the re-enacted
 * machine is put back to where the two part.
 */

/** Offsets on page 0; page 1 is the same. */
// biome-ignore format: a table
export const at = {
  CR0: 0x20, CR0ACK: 0x24, STATUSR: 0x40, GBPA: 0x44, AGBPA: 0x48, IRQ_CTRL: 0x50, IRQ_CTRLACK: 0x54,
  GERROR: 0x60, GERRORN: 0x64, STRTAB_BASE: 0x80, STRTAB_BASE_CFG: 0x88, CMDQ_BASE: 0x90, CMDQ_PROD: 0x98,
  CMDQ_CONS: 0x9c, EVENTQ_BASE: 0xa0, EVENTQ_PROD: 0xa8, EVENTQ_CONS: 0xac, EVENTQ_IRQ_CFG0: 0xb0,
} as const;

/** Registers that take and give 64 bits at once. */
const WIDE: readonly number[] = [0x68, 0x80, 0x90, 0xa0, 0xb0];
/** Registers that a write reaches, by their first and last 32-bit word. */
// biome-ignore format: a table
const WRITABLE: readonly (readonly [first: number, last: number])[] = [
  [0x20, 0x20], [0x28, 0x2c], [0x50, 0x50], [0x64, 0x74], [0x80, 0xbc],
];
const CR0_ACKNOWLEDGED = 0x3df;
const QUEUE_LOG2_MAX = 19;

export const EVENT_BYTES = 32;

export class Emulator {
  // A reset sets LOG2SIZE of both queues to 19.
  readonly #words = new Map<number, number>([
    [at.CMDQ_BASE, 19],
    [at.EVENTQ_BASE, 19],
  ]);
  readonly #written = new Set<number>();
  /** A two-level table was asked for once; nothing but a reset takes that back. */
  twoLevelSeen = false;
  /** GBPA was written. */
  gbpaWritten = false;

  /** The 32-bit word at a page 0 offset. */
  get(offset: number): number {
    return this.#words.get(offset) ?? 0;
  }

  /** Whether software ever wrote the word at a page 0 offset. */
  wasWritten(offset: number): boolean {
    return this.#written.has(offset);
  }

  /** Whether a 64-bit access at the offset has any effect. */
  takesWide(offset: number): boolean {
    return WIDE.includes(offset);
  }

  write(offset: number, size: number, value: bigint): void {
    const base = offset & 0xffff;
    if (base === at.GBPA) this.gbpaWritten = true;
    if (size === 8 && !this.takesWide(base)) return;
    this.#store(base, Number(value & 0xffff_ffffn));
    if (size === 8) this.#store(base + 4, Number(value >> 32n));
  }

  /** What a read gives by the emulator's rules; undefined where they do not say (identification). */
  read(offset: number, size: number): bigint | undefined {
    const base = offset & 0xffff;
    if (base < at.CR0 || base >= 0xfd0) return undefined;
    if (size === 8) {
      if (!this.takesWide(base) || base === at.EVENTQ_IRQ_CFG0) return 0n;
      return (BigInt(this.get(base + 4)) << 32n) | BigInt(this.get(base));
    }
    if (base === at.CR0ACK) return BigInt(this.get(at.CR0) & CR0_ACKNOWLEDGED);
    if (base === at.IRQ_CTRLACK) return BigInt(this.get(at.IRQ_CTRL));
    if (base >= at.EVENTQ_IRQ_CFG0 && base <= 0xbc) return 0n;
    return BigInt(this.get(base));
  }

  get commandLog2(): number {
    return Math.min(this.get(at.CMDQ_BASE) & 0x1f, QUEUE_LOG2_MAX);
  }

  get eventLog2(): number {
    return Math.min(this.get(at.EVENTQ_BASE) & 0x1f, QUEUE_LOG2_MAX);
  }

  /** Address of the first entry of the Event queue. */
  get eventBase(): number {
    return (
      (this.get(at.EVENTQ_BASE + 4) & 0xf_ffff) * 2 ** 32 + ((this.get(at.EVENTQ_BASE) & 0xffff_ffc0) >>> 0)
    );
  }

  /** Where the next record goes. */
  get eventPa(): number {
    return this.eventBase + (this.get(at.EVENTQ_PROD) & (2 ** this.eventLog2 - 1)) * EVENT_BYTES;
  }

  get eventsFull(): boolean {
    const wrap = 2 ** this.eventLog2;
    return ((this.get(at.EVENTQ_PROD) ^ this.get(at.EVENTQ_CONS)) & (wrap * 2 - 1)) === wrap;
  }

  /** A record was written. */
  pushEvent(): void {
    this.#words.set(at.EVENTQ_PROD, (this.get(at.EVENTQ_PROD) + 1) & (2 ** (this.eventLog2 + 1) - 1));
  }

  /** CONS after commands were taken: the pointer with its wrap bit; the error code stays. */
  setCommandCons(pointer: number): void {
    this.#words.set(at.CMDQ_CONS, ((this.get(at.CMDQ_CONS) & 0x7f00_0000) | pointer) >>> 0);
  }

  setCommandError(code: number): void {
    this.#words.set(at.CMDQ_CONS, ((this.get(at.CMDQ_CONS) & 0x80ff_ffff) | (code << 24)) >>> 0);
  }

  setGerror(value: number): void {
    this.#words.set(at.GERROR, value >>> 0);
  }

  #store(offset: number, value: number): void {
    if (!WRITABLE.some(([first, last]) => offset >= first && offset <= last)) return;
    this.#words.set(offset, value);
    this.#written.add(offset);
    if (offset === at.STRTAB_BASE_CFG && ((value >>> 16) & 3) === 1) this.twoLevelSeen = true;
  }
}
