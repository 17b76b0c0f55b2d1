/**
 * Nested domains: the checks of the two doublewords of a vSTE (linux: arm-smmu-v3-iommufd.c,
 * arm_smmu_validate_vste), and what becomes of them.
 */
import type { Context } from '../machine.ts';
import type { Failure } from './domains.ts';
import type { DriverState } from './state.ts';

/** Bits that a vSTE may have: V to S1CDMax, S1DSS to S1CSH, S1STALLD and EATS. */
export const VSTE_ALLOWED = [0xf80f_ffff_ffff_ffffn, 0x0000_0000_3800_00ffn] as const;
const CONFIG_ABORT = 0n;
const CONFIG_BYPASS = 4n;
const CONFIG_S1 = 5n;

export type Vste = readonly [bigint, bigint];

/** What the vSTE means to the driver, or EIO where its content is refused. */
export function checkVste(
  vste: Vste,
): { readonly vste: Vste; readonly eats: boolean; readonly config: bigint } | Failure {
  // An invalid one is an abort, whatever else stands in it.
  if ((vste[0] & 1n) === 0n) return { vste: [0n, 0n], eats: false, config: CONFIG_ABORT };
  if ((vste[0] & ~VSTE_ALLOWED[0]) !== 0n || (vste[1] & ~VSTE_ALLOWED[1]) !== 0n) return { errno: 'EIO' };
  const config = (vste[0] >> 1n) & 7n;
  if (![CONFIG_ABORT, CONFIG_BYPASS, CONFIG_S1].includes(config)) return { errno: 'EIO' };
  const eats = (vste[1] >> 28n) & 3n;
  if (eats > 1n) return { errno: 'EIO' };
  return { vste, eats: eats === 1n && config === CONFIG_S1, config };
}

/**
 * Makes a nested domain over a nesting parent.
 * @param vetoAll bypass and abort turn ATS off too (before 6.19)
 */
export function makeNested(
  { emit }: Context,
  driver: DriverState,
  parent: number,
  given: Vste,
  vetoAll: boolean,
): { readonly domain: number; readonly wantsAts: boolean } | Failure {
  const checked = checkVste(given);
  if ('errno' in checked) return checked;
  const { vste, eats, config } = checked;
  const wantsAts = eats || (config !== CONFIG_S1 && !vetoAll);
  const domain = emit(driver.setup.actor, {
    type: 'domain.made',
    driver: driver.name,
    domain: { kind: 'nested', parent, vste, wantsAts },
  });
  return { domain, wantsAts };
}
