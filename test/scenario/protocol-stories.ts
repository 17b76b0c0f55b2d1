/** What the stories of broken protocol must be found to be: rule, verdict, and who is blamed for what. */

interface Wanted {
  readonly rule: string;
  readonly verdict: 'protocol' | 'excess';
  readonly needed: RegExp;
  readonly blamed: RegExp;
}

const protocol = (rule: string, blamed: RegExp, needed: RegExp): Wanted => ({
  rule,
  verdict: 'protocol',
  needed,
  blamed,
});

// biome-ignore format: a table
export const protocolStories: Readonly<Record<string, Wanted>> = {
  'bad-b19-prod-before-commands.jsonl':           protocol('I5', /CMDQ_PROD passed slot 0x0, where zeros stood/, /command in memory first/),
  'bad-b28-atc-inv-not-answered.jsonl':           protocol('I6', /CMD_ATC_INV .* timed out at nic0/, /a reset of nic0 or ATS off/),
  'bad-b29-range-refused-replaced-by-sync.jsonl': protocol('I6', /CMD_SYNC in the slot of the refused CMD_TLBI_NH_VA/, /CMD_TLBI_NH_VA again in a legal form/),
  'bad-b33-no-interrupt.jsonl':                   protocol('I7', /EVENTQ_PROD moved from empty/, /edge from empty to non-empty/),
  'bad-b34-idle-with-a-record.jsonl':             protocol('I7', /EVENTQ_CONS = 0x1, and no look at EVENTQ_PROD/, /loaded again after draining/),
  'bad-b35-slot-before-prod.jsonl':               protocol('I7', /loaded \[0x40020\] before its record was there/, /EVENTQ_PROD loaded first/),
  'bad-b36-full-taken-for-empty.jsonl':           protocol('I7', /CMDQ_PROD 0x4, CMDQ_CONS 0x0: not empty/, /indices and wrap bits/),
  'bad-i6-command-skipped.jsonl':                 protocol('I6', /CMDQEN=0 with CMD_TLBI_NH_VA of slot 0x0/, /CMD_TLBI_NH_VA again/),
  'bad-i6-error-not-mended.jsonl':                protocol('I6', /with the refused UNKNOWN still in its slot/, /a legal command in the slot/),
  'bad-i7-base-misaligned.jsonl':                 protocol('I7', /ADDR 0x30100: hardware uses 0x30000/, /multiple of 0x1000 bytes/),
  'bad-i7-error-not-acknowledged.jsonl':          protocol('I7', /CMDQ_PROD = 0x4 while the queue stands still/, /GERRORN made equal to GERROR/),
  'bad-i7-overflow-not-acknowledged.jsonl':       protocol('I7', /EVENTQ_CONS = 0x2: OVACKFLG/, /OVACKFLG made equal/),
  'bad-i7-prod-beyond-full.jsonl':                protocol('I7', /CMDQ_PROD = 0x7/, /no further apart than the queue is long/),
  'bad-i7-prod-moved-back.jsonl':                 protocol('I7', /CMDQ_PROD = 0x1/, /moved forward only/),
  'bad-i7-slot-altered.jsonl':                    protocol('I7', /stored CMD_TLBI_NH_VA over another CMD_TLBI_NH_VA/, /left alone until CMDQ_CONS has passed/),
};
