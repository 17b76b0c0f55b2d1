/** Topics of `help` that are words only. */

export const pathsHelp: readonly string[] = [
  'Paths name the things of a machine, in check, set, show, diff, last, watch:',
  '',
  '  smmu0.regs.CR0              a register; .SMMUEN one field of it',
  '  smmu0.cmdq.prod             also cons, size, capacity, base, err, entries',
  '  smmu0.cmdq[3]               slot 3 of the queue, decoded',
  '  smmu0.evtq.size             records between CONS and PROD; evtq[0] a record',
  '  smmu0.gerror                errors that are active',
  '  smmu0.tlb  .walk .ste .cd   what the caches hold; tlb[41] what entry 41 filled',
  '  smmu0.ste[8].Config         the STE of StreamID 8, as it stands in memory',
  '  smmu0.cd[8][0].ASID         the CD of SubstreamID 0 of StreamID 8, likewise',
  '  smmu0.inFlight  .records    commands fetched and not done; records waiting',
  '  smmu0.caches.tlb            a capacity; smmu0.invalidation, smmu0.choices.NAME',
  '  mem[0x40001000]             a doubleword of memory',
  '  nvme0.ats                   a switch of an endpoint (ats, pri, silent)',
  '  nvme0.atc                   what its ATC holds; nvme0.groups: Page Request groups without a response',
  '  smmu0   smmu0.regs          whole parts',
  '',
  '`log --touching` also takes sid:8, asid:7, vmid:0, iova:0x1000, page:0x40001000,',
  'endpoint:nvme0, command:CMD_SYNC, register:smmu0.CR0, type:tlb.filled.',
];

export const positionsHelp: readonly string[] = [
  'A position is a branch and the number of an entry; it names the moment after it.',
  '',
  '  main@18234        entry 18234 of main; main@0 is before the first',
  '  @18234            the same of the current branch (`backwalk branch`)',
  '  main              its head; @ the head of the current branch',
  '  main@18234~3      three entries earlier; ^ is ~1',
  '  @{label}          a bookmark, of `bookmark` or of a label line',
  '  @{first finding}  where `check` finds the first broken rule',
  '  @{last fault}     the last event record or terminated access',
  '  @{50%}            half way',
  '',
  '  a..b              after a, up to b; a side left out is the start or the head',
  '  a...b             two histories since they parted',
];
