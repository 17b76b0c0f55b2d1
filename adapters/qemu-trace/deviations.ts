/**
 * Where the captured emulator (QEMU 7.2) is known to go its own way, and what IHI 0070 G.b says. A
 * difference that one of these explains is counted under its name and is not a difference. `free` is
 * said of those that the architecture allows. How each is recognised stands in `explain-*.ts`.
 */
export interface Deviation {
  readonly qemu: string;
  readonly architecture: string;
  /** Section of IHI 0070 G.b, or of the Arm ARM. */
  readonly spec: string;
  readonly free?: true;
}

// biome-ignore format: a table
export const deviations = {
  // Event records
  'fault-class-zero':         { spec: '7.3',        qemu: 'CLASS=0 in F_TRANSLATION and F_PERMISSION', architecture: 'CLASS=IN for a fault of the input address' },
  'fault-pieces':             { spec: '3.12.2',     qemu: 'a refused access goes on in pieces of 4 bytes, each with a record', architecture: 'one record a transaction', free: true },
  'evtq-irq-every-record':    { spec: '3.5.3',      qemu: 'an interrupt for each record', architecture: 'an interrupt when the queue becomes non-empty' },
  'evtq-full-is-abort':       { spec: '7.4',        qemu: 'a record that finds the queue full raises EVENTQ_ABT_ERR', architecture: 'the record is lost and OVFLG toggles' },
  'evtq-abt-not-blocking':    { spec: '7.2.2',      qemu: 'an active EVENTQ_ABT_ERR stops nothing', architecture: 'delivery stops until it is acknowledged' },
  'recinvsid-ignored':        { spec: '6.3.12.2',   qemu: 'C_BAD_STREAMID is always recorded', architecture: 'only if CR2.RECINVSID=1' },
  'cd-fetch-addr-word':       { spec: '7.3.10',     qemu: 'FetchAddr of F_CD_FETCH in words 4 and 5', architecture: 'words 6 and 7' },
  'pnu-zero':                 { spec: '7.3.13',     qemu: 'PnU=0 for an access that was let through as privileged', architecture: 'PnU tells the privilege' },

  // Configuration
  'gbpa-missing':             { spec: '6.3.14',     qemu: 'SMMUEN=0 always bypasses; GBPA reads 0', architecture: 'GBPA says, and holds what was written' },
  'bypass-oas':               { spec: '3.4',        qemu: 'a bypass looks at no address size', architecture: 'beyond OAS: F_ADDR_SIZE, or a silent abort' },
  'l1std-span-double':        { spec: '5.1',        qemu: 'an L1STD spans 2^Span STEs, Span is not checked', architecture: '2^(Span-1); Span > SPLIT+1 or > 11 is invalid' },
  'span-overrun-bad-ste':     { spec: '7.3.3',      qemu: 'beyond the span of an L1STD: C_BAD_STE', architecture: 'C_BAD_STREAMID' },
  'strtab-align-short':       { spec: '6.3.24',     qemu: 'clears one low bit of STRTAB_BASE too few', architecture: 'aligned to the table\'s size' },
  'l2ptr-unaligned':          { spec: '5.1',        qemu: 'low bits of L2Ptr are used', architecture: 'aligned to the table\'s size' },
  'strtab-fmt-sticky':        { spec: '6.3.25',     qemu: 'two-level once, two-level for ever', architecture: 'FMT as written' },
  'split-raw':                { spec: '6.3.25',     qemu: 'any SPLIT is used as written', architecture: 'other than 6, 8, 10 acts as 6' },
  's1cdmax-bad-ste':          { spec: '5.2',        qemu: 'S1CDMax other than 0: C_BAD_STE', architecture: 'IGNORED when SSIDSIZE=0' },
  'ctxptr-oas':               { spec: '5.2.2',      qemu: 'S1ContextPtr beyond OAS is used', architecture: 'C_BAD_STE' },
  'failed-config-not-cached': { spec: '3.21',       qemu: 'a faulty STE or CD is read anew each time', architecture: 'it may be cached until CMD_CFGI_*', free: true },
  'cfgi-cd-drops-ste':        { spec: '4.3',        qemu: 'CMD_CFGI_CD drops the STE too; SubstreamID and Leaf are ignored', architecture: 'need not', free: true },
  'l1std-not-cached':         { spec: '3.21',       qemu: 'level 1 descriptors are read with each STE', architecture: 'may be cached until CMD_CFGI_STE with Leaf=0', free: true },

  // TLB
  'tlb-flush-at-256':         { spec: '16.2',       qemu: 'the 257th entry empties the TLB', architecture: 'IMPLEMENTATION DEFINED', free: true },
  'tlbi-scan-wide':           { spec: '4.4',        qemu: 'a range takes entries of any granule and level', architecture: 'need not', free: true },
  'tlbi-range-misaligned':    { spec: '4.4.1.1',    qemu: 'a misaligned range leaves entries', architecture: 'CONSTRAINED UNPREDICTABLE', free: true },
  'global-as-asid':           { spec: '4.4.2',      qemu: 'a global leaf is filed under one ASID', architecture: 'NH_VA of any ASID takes it, NH_ASID does not; any ASID finds it' },

  // Walks
  'af-ignored':               { spec: '7.3.15',     qemu: 'a leaf with AF=0 is used', architecture: 'F_ACCESS unless CD.AFFD=1' },
  'no-addr-size':             { spec: '7.3.14',     qemu: 'an output beyond IPS is used', architecture: 'F_ADDR_SIZE' },
  'block-any-level':          { spec: 'ARM D8.3',   qemu: 'blocks at any level', architecture: 'F_TRANSLATION where the granule has none' },
  'aptable-not-cached':       { spec: 'ARM D8.4',   qemu: 'APTable does not reach the TLB', architecture: 'it limits all levels below' },
  'privileged-always':        { spec: '13.1',       qemu: 'AP[1] is not looked at', architecture: 'AP[1]=0 refuses unprivileged accesses' },
  'ttb1-broken':              { spec: '3.4.1',      qemu: 'TTB1 is chosen by zero bits', architecture: 'VA[55] chooses; EPD0=1: F_TRANSLATION' },

  // Commands
  'unsupported-commands-accepted': { spec: '4.4',   qemu: 'commands of absent features are taken and do nothing', architecture: 'CERROR_ILL' },
  'ssec-prefetch':            { spec: '4.1.6',      qemu: 'SSec=1 in CMD_PREFETCH_* is taken', architecture: 'CERROR_ILL' },
  'sync-cs3':                 { spec: '4.7.3',      qemu: 'CS=3 in CMD_SYNC acts as SIG_IRQ', architecture: 'CERROR_ILL' },
  'tlbi-tg-no-ttl':           { spec: '4.4.1.1',    qemu: 'TG with NUM=SCALE=TTL=0 is taken', architecture: 'CERROR_ILL' },
  'queue-base-unaligned':     { spec: '6.3.26',     qemu: 'low bits of CMDQ_BASE and EVENTQ_BASE are used', architecture: 'aligned to the queue\'s size' },
  'cons-err-stays':           { spec: '6.3.28',     qemu: 'CMDQ_CONS.ERR keeps the last code', architecture: 'means nothing once acknowledged', free: true },

  // Registers
  'raw-readback':             { spec: '6.2',        qemu: 'reserved and absent fields read as written', architecture: 'RES0' },
  'unknown-at-reset':         { spec: '6.3',        qemu: 'what a register holds before its first write', architecture: 'UNKNOWN', free: true },
  'ack-extra-bits':           { spec: '6.3.10',     qemu: 'absent fields of CR0 and IRQ_CTRL are acknowledged', architecture: 'never acknowledged' },
  'no-guards':                { spec: '6.2',        qemu: 'every write is taken at any time', architecture: 'guarded writes are IGNORED' },
  'wide-access-lost':         { spec: '6.2',        qemu: 'a 64-bit access to two 32-bit registers is lost', architecture: 'CONSTRAINED UNPREDICTABLE', free: true },
  'page1-alias':              { spec: '6.1',        qemu: 'page 1 is page 0 again', architecture: 'page 1 has its own registers', free: true },
  'evtq-irq-cfg-raz':         { spec: '6.3.30',     qemu: 'EVENTQ_IRQ_CFG* reads 0', architecture: 'RES0 when MSI=0', free: true },
  'id-block':                 { spec: '6.2',        qemu: 'identification words at 0xfd0 to 0xffc', architecture: 'IMPLEMENTATION DEFINED', free: true },
} as const satisfies Readonly<Record<string, Deviation>>;

export type DeviationName = keyof typeof deviations;
