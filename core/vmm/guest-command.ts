/** Commands of a guest, and what comes before they are consumed. */
import type { CerrorName } from '../smmu/codes.ts';
import type { CommandName } from '../smmu/command-layout.ts';
import type { Frame } from '../tasks/task.ts';

/** A command of the guest as it stands in its queue. */
export interface GuestCommand {
  readonly name: CommandName | undefined;
  readonly words: Uint32Array;
}

/** What a strategy wants before commands are consumed. */
export interface Before {
  /** How many of the commands ahead the work is for. */
  readonly count: number;
  readonly work: readonly Frame[];
  /** It is not a command of the architecture: nothing more is done with it. */
  readonly passOver?: boolean;
}

/** The frame that stops the queue in place of all that was to follow. */
export function failed(
  vm: string,
  smmu: string,
  why: string,
  good = 0,
  error: CerrorName = 'CERROR_ILL',
): Frame {
  return { do: 'vsmmu.failed', vm, smmu, good, error, why };
}
