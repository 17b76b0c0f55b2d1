/** System calls that are under way. */
import type { Errno } from './errno.ts';

/** A buffer that a field of the argument points to. */
export interface PlacedBuffer {
  readonly field: string;
  readonly va: number;
  readonly bytes: number;
}

/** What an ioctl answers. */
export interface Answer {
  readonly errno?: Errno;
  /** What the call returns where it succeeds; 0 when absent. */
  readonly ret?: number;
  /** Fields of the struct that it changed. */
  readonly out?: Readonly<Record<string, unknown>>;
  /**
   * What is copied back over the user's struct: on success the whole struct as far as both know it; with
   * `always` on errors too; with a list only these fields, on success; with `none` nothing.
   */
  readonly copy?: 'always' | 'none' | readonly string[];
}

/** An ioctl from its begin to its end. */
export interface OpenCall {
  /** seq of `ioctl.begun`. */
  readonly id: number;
  readonly fd: number;
  readonly process: string;
  readonly code: number;
  readonly name: string;
  readonly argument: bigint;
  /** What it will answer, where work goes before. */
  readonly answer?: Answer;
  /** The user's struct as it was read, as long as the kernel's; and how much of it is the user's. */
  readonly struct?: Uint8Array;
  readonly size?: number;
  /** Objects it has reserved, which end with it. */
  readonly made?: readonly number[];
}
