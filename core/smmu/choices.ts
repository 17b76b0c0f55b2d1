/**
 * Where the architecture leaves freedom, and this model has more than one way: each choice by name,
 * with what is taken unless a profile or a scenario says otherwise. Errata of known parts are choices
 * too: off, unless the part's profile says otherwise.
 */

export type ChoiceValue = boolean | number | string;

export interface Choice {
  readonly default: ChoiceValue;
  /** Section of IHI 0070 that leaves the freedom, or that an erratum departs from. */
  readonly spec: string;
  readonly meaning: string;
}

// biome-ignore format: a table
export const choices = {
  checkAccessFlag:   { default: true,  spec: '3.13',    meaning: 'a leaf with AF=0 raises F_ACCESS when CD.AFFD=0; false: AF is taken as 1' },
  cacheRefusedLeaf:  { default: true,  spec: '16.2',    meaning: 'a leaf that refuses the access that walked to it is cached all the same' },
  combinedEntries:   { default: true,  spec: '16.2',    meaning: 'a nested translation is cached as one entry of both stages; false: as an entry of each' },
  mergeRecords:      { default: false, spec: '7.3.1',   meaning: 'a record like one that still waits is not written again, where STE.MEV or its kind lets it' },
  prefetchTranslations:  { default: false, spec: '3.21.1', meaning: 'an access that walked lets the next page be walked too' },
  prefetchConfiguration: { default: false, spec: '3.21.3', meaning: 'an access that walked lets the STE of the neighbouring StreamID be fetched too' },
  portTlb:           { default: false, spec: '3.21.3', meaning: 'each device has a TLB beside it that is found by StreamID before the STE is looked at; CMD_CFGI_* reaches it' },
  strictReserved:    { default: false, spec: '4.1.5',   meaning: 'a command with reserved bits set is CERROR_ILL; false: the bits are ignored, and noted' },
  grantWriteUnasked: { default: true,  spec: '13.7',    meaning: 'a Translation Request with NW=1 is granted write permission where the page is writable already' },
  truncateTranslated: { default: false, spec: '3.9.1.1', meaning: 'a Translated transaction beyond OAS goes out with its address truncated; false: it is aborted' },
  roundSmallAtcInv:  { default: true,  spec: '4.5.1',   meaning: 'an endpoint rounds a CMD_ATC_INV smaller than STU up to it; false: it answers Unsupported Request' },
  gbpaAbortAtReset:  { default: false, spec: '6.3.14',  meaning: 'GBPA.ABORT is 1 after reset' },
  gbpaIncomingAtReset: { default: false, spec: '6.3.14', meaning: 'GBPA.SHCFG is "use incoming" after reset (QEMU from 8.0)' },
  ptmAtReset:        { default: false, spec: '6.3.12',  meaning: 'CR2.PTM is 1 after reset when IDR0.BTM=1: broadcasts are ignored until software clears it (MMU-600, MMU-700)' },
  descriptorUpdates: { default: true,  spec: '3.13',    meaning: 'hardware updates of descriptors reach memory; false: the system loses them, and its firmware ought to say HTTU=0 whatever IDR0.HTTU says (6.3.1)' },
  erratumFullQueueSev: { default: false, spec: '4.1.2', meaning: 'no wake-up event when a full Command queue becomes non-full, though IDR0.SEV=1 (MMU-600 erratum 1076982)' },
  erratumNestedInvalidation: { default: false, spec: '4.4', meaning: 'TLB invalidation of one stage by address leaves entries that both stages made (MMU-600 erratum 1209401, MMU-700 erratum 2268618; the exact conditions are not public)' },
  erratumMixedRuns:  { default: false, spec: '4.7.3',   meaning: 'an invalidation of another kind than the one before it, with no CMD_SYNC between, is consumed without effect (MMU-700 erratum 2812531; the exact conditions are not public)' },
  erratumQueueWrap:  { default: false, spec: '3.5.1',   meaning: 'a Command queue whose indices are equal counts as empty, whatever the wrap bits say (gem5 before 2019)' },
  erratumEventInterrupt: { default: false, spec: '7.2.1', meaning: 'no interrupt of the Event queue when it becomes non-empty (QEMU before 3.0)' },
  erratumEventBlank: { default: false, spec: '7.3',     meaning: 'the type of an event record is lost on the way to memory: EventID is 0 (QEMU before 3.0)' },
  erratumEventStage2: { default: false, spec: '7.3.13', meaning: 'records of stage 2 faults have CLASS 0 and no IPA (QEMU before 9.1)' },
  erratumFaultsUnrecorded: { default: false, spec: '7.3', meaning: 'CD.R is not kept with a cached CD: a fault of an access that found its CD in the cache is not recorded (QEMU before 7.1)' },
  tegra241Param:     { default: 0,     spec: '3.5',     meaning: 'PARAM of a Tegra241 CMDQV beside the SMMU, which is no part of the architecture; 0: there is none' },
  erratumRangeInvalidation: { default: false, spec: '4.4.1.1', meaning: 'a range invalidation whose start is not aligned to its size drops the entry of the first granule alone (QEMU before 6.1)' },
  erratumLeafInvalidation: { default: false, spec: '4.4', meaning: 'an invalidation by address with Leaf=1 is consumed without effect: leaf entries stay (gem5 before 2019)' },
  erratumAnyAsidHint: { default: false, spec: '4.4.1.1', meaning: 'an invalidation by address for every ASID, with a level hint, drops nothing (QEMU before 6.0)' },
  erratumStreamNumber: { default: false, spec: '4.3', meaning: 'CMD_CFGI_STE and CMD_CFGI_CD act on the StreamID without its device number, bits [7:3] (QEMU before 3.0)' },
  erratumStreamRange: { default: false, spec: '4.3.2', meaning: 'CMD_CFGI_STE_RANGE of all streams drops nothing (QEMU before 6.0)' },
  erratumRangePages:  { default: false, spec: '4.4.1.1', meaning: 'the granules of a range are counted in 32 bits: a range of 2^32 or more loses them (QEMU before 5.2)' },
  erratumAsidOfVmid:  { default: false, spec: '4.4.2.2', meaning: 'an invalidation by ASID looks for entries of VMID 0 alone (QEMU while nesting was made)' },
  erratumBlockPieces: { default: false, spec: '4.4.1', meaning: 'a block is kept in pieces of pages, and an invalidation by address drops the piece it names: the entry stays (Qualcomm SMMU-500)' },
  erratumPortTlb:    { default: false, spec: '4.3.1', meaning: 'CMD_CFGI_* stops short of the TLBs beside the devices, where there are any (portTlb) (gem5 before 2019)' },
  erratumTagIgnored: { default: 'none', spec: '3.17', meaning: 'a part of the tag that look-ups do not compare, so that they find entries of another context: "address" (the walk cache, bits above 47: gem5 before 2019), or "ASID", "VMID", "StreamWorld" (the TLB too)' },
  erratumTableByZeros: { default: false, spec: '3.4.1', meaning: 'zeros above TxSZ select a table, TTB0 before TTB1 and neither where its EPD is set: upper addresses fault, lower ones go to TTB1 where EPD0=1 (QEMU before 8.1)' },
  erratumAtcByteOrder: { default: false, spec: '4.5.1', meaning: 'endpoints read the address of an Invalidate Request in the other byte order, and answer (Intel IPU E2000 before C0)' },
} as const satisfies Readonly<Record<string, Choice>>;

export type ChoiceName = keyof typeof choices;

/** Every choice at its default. */
export function defaultChoices(): Readonly<Record<ChoiceName, ChoiceValue>> {
  const rows = Object.entries(choices).map(([name, choice]) => [name, choice.default]);
  return Object.fromEntries(rows) as Record<ChoiceName, ChoiceValue>;
}
