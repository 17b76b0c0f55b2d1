/**
 * Numbers that the SMMU architecture names: command errors, responses, sizes, and the value names that
 * several layouts share. IHI 0070 5.2, 5.4, 6.3, 7.1, 8 and 9. A value that a table leaves out is
 * reserved and decodes as 'RESERVED'; what it acts as is said beside the table.
 */

/** CMDQ_CONS.ERR and ECMDQ_CONS.ERR_REASON, 7.1. */
// biome-ignore format: a table
export const cerrors = {
  CERROR_NONE:         0,
  CERROR_ILL:          1,
  CERROR_ABT:          2,
  CERROR_ATC_INV_SYNC: 3,
} as const;
export type CerrorName = keyof typeof cerrors;

/** Response code of a PRG Response message, chapter 8. CMD_PRI_RESP.Resp has codes of its own. */
// biome-ignore format: a table
export const prgResponseCodes = {
  SUCCESS:           0,
  INVALID_REQUEST:   1,
  RESPONSE_FAILURE: 15,
} as const;
export type PrgResponse = keyof typeof prgResponseCodes;

/** GATOS_PAR.FAULTCODE values that are not event numbers, 6.3.40. */
// biome-ignore format: a table
export const atosFaultCodes = {
  INTERNAL_ERR: 0xfd,
  INV_STAGE:    0xfe,
  INV_REQ:      0xff,
} as const;

/** Bits of an address by IDR5.OAS, CD.IPS and STE.S2PS code, 6.3.6. */
export const addressSizes = [32, 36, 40, 42, 44, 48, 52, 56] as const;

/** Entry sizes and the limits of a queue, 3.5.1. */
// biome-ignore format: a table
export const queues = {
  CMDQ:   { entryBytes: 16 },
  EVENTQ: { entryBytes: 32 },
  PRIQ:   { entryBytes: 16 },
} as const;
export type QueueName = keyof typeof queues;
export const queueSizeLog2Max = 19;
export const queueBaseAlignBytesMin = 32;

// Names of values in layouts.

/** Shareability; 1 acts as NSH. */
export const SHAREABILITY = { NSH: 0, OSH: 2, ISH: 3 } as const;
/** Shareability override of STE.SHCFG and GBPA.SHCFG. */
export const SHAREABILITY_CFG = { NSH: 0, USE_INCOMING: 1, OSH: 2, ISH: 3 } as const;
/** CR1, 6.3.11; 3 acts as NC. */
export const CR1_CACHEABILITY = { NC: 0, WB: 1, WT: 2 } as const;
/** Fetches of CDs, STE.S1CIR and S1COR, 5.2. */
export const CD_CACHEABILITY = { NC: 0, WB_RA: 1, WT_RA: 2, WB_NO_RA: 3 } as const;
/** Walks, CD.IR0 and the like, 5.4. */
export const WALK_CACHEABILITY = { NC: 0, WB_RA_WA: 1, WT_RA: 2, WB_RA_NO_WA: 3 } as const;
/** STE.PRIVCFG and GBPA.PRIVCFG; 1 acts as USE_INCOMING. */
export const PRIVILEGE_CFG = { USE_INCOMING: 0, UNPRIVILEGED: 2, PRIVILEGED: 3 } as const;
/** STE.INSTCFG and GBPA.INSTCFG, for reads only; 1 acts as USE_INCOMING. */
export const INSTRUCTION_CFG = { USE_INCOMING: 0, DATA: 2, INSTRUCTION: 3 } as const;

/** CD.TG0 and STE.S2TG. The three granule fields number the same sizes differently. */
export const GRANULE_TG0 = { '4KB': 0, '64KB': 1, '16KB': 2 } as const;
/** CD.TG1. */
export const GRANULE_TG1 = { '16KB': 1, '4KB': 2, '64KB': 3 } as const;
/** TG of the TLBI commands by address; NONE is no range and no level hint. */
export const GRANULE_TLBI = { NONE: 0, '4KB': 1, '16KB': 2, '64KB': 3 } as const;
