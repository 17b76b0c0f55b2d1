/** stub */
import type { Prices } from '../../projections/cost/prices.ts';
import type { ExitCode } from './io.ts';
import type { VerbContext } from './verb.ts';
export async function compareCosts(_c: VerbContext, _s: string, _o: { prices: Prices; vmms: string | undefined }): Promise<ExitCode> { return 0; }
