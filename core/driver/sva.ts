/**
 * Domains over the page tables of a process (linux: arm-smmu-v3-sva.c): when an SMMU can have them, their
 * CD, and the CD that stays when the process has gone. The tables are the process's; the ASID is the driver's own.
 */
import { present } from '../assert.ts';
import { encode } from '../layout/layout.ts';
import type { Context } from '../machine.ts';
import { CD } from '../smmu/cd.ts';
import { stage1Cd, walkFields } from './cd.ts';
import { doublewords } from './commands.ts';
import { type Failure, sharing } from './domains.ts';
import type { Entry } from './entry-writer.ts';
import { type DriverFeatures, type Platform, physicalBits } from './features.ts';
import { freeAsid } from './ids.ts';
import { portOf } from './port.ts';
import { behavioursOf } from './releases.ts';
import type { DriverState, Master, Stage1Domain } from './state.ts';
import type { TableShape } from './table-shape.ts';

/** Input bits of a kernel with 52-bit virtual addresses. */
const LARGE_VA_BITS = 52;
/** MAIR_EL1 of Linux by AttrIndx: write-back twice (the second for tagged memory), non-cacheable, two of devices. */
const MAIR0 = 0x0044_ffff;
const MAIR1 = 0x04;

/** Why the SMMU cannot walk the tables of the CPUs; undefined where it can (linux: arm_smmu_sva_supported). */
export function svaLacks(features: DriverFeatures, platform: Platform): string | undefined {
  const { pageLog2, vaBits, asidBits = 16, bbml2 = false } = platform;
  if (!features.s1) return 'stage 1';
  if (!features.coherent) return 'coherent walks';
  if (((features.pageSizes >> BigInt(pageLog2)) & 1n) === 0n) return 'pages as the CPUs have them';
  if (features.oas < physicalBits(platform)) return 'output addresses as large as the CPUs have them';
  if (features.asidBits < asidBits) return 'ASIDs as large as the CPUs have them';
  if (vaBits === LARGE_VA_BITS && !features.vax) return '52-bit input addresses';
  return bbml2 && features.bbml2 !== true ? 'break-before-make level 2' : undefined;
}

/** A domain over the tables of a process, with a new ASID. */
export function makeSva(
  context: Context,
  driver: DriverState,
  mm: string,
  shape: TableShape,
): { readonly domain: number } | Failure {
  const features = present(driver.features, 'features');
  if (!behavioursOf(driver).substreams || svaLacks(features, driver.setup.platform) !== undefined)
    return { errno: 'EOPNOTSUPP' };
  if (!portOf(driver).allocates(context, 'domain')) return { errno: 'ENOMEM' };
  const asid = freeAsid(context.state, driver);
  if (asid === undefined) return { errno: 'ENOMEM' };
  const table = { ...shape, dirty: features.hd };
  const domain = { kind: 's1', asid, ...sharing(driver), mm, table, invs: [] } as const;
  return { domain: context.emit(driver.setup.actor, { type: 'domain.made', driver: driver.name, domain }) };
}

/** The CD of a stage 1 domain, over its own tables or over those of a process. */
export function cdOf(driver: DriverState, master: Master, domain: Stage1Domain): Entry {
  return domain.mm === undefined ? stage1Cd(master, domain) : svaCd(driver, master, domain);
}

/** linux: arm_smmu_make_sva_cd. */
function svaCd({ features }: DriverState, master: Master, domain: Stage1Domain): Entry {
  const updates = { HA: features?.ha === true, HD: features?.hd === true };
  return doublewords(encode(CD, { ...walkFields(master, domain), ...updates, MAIR0, MAIR1 }));
}

/**
 * What is left of it when the process has gone: valid, so that the device's DMA meets no C_BAD_CD, without tables,
 * and without a record or a stall for each access.
 */
export function releasedCd({ features }: DriverState, { stallEnabled }: Master, domain: Stage1Domain): Entry {
  const forced = features?.stallForce === true;
  return doublewords(
    encode(CD, {
      EPD0: true,
      EPD1: true,
      V: true,
      AA64: true,
      S: forced && stallEnabled,
      R: forced,
      A: true,
      ASET: domain.shared !== true,
      ASID: domain.asid,
      MAIR0,
      MAIR1,
    }),
  );
}
