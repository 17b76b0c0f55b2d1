/**
 * The findings whose reports are kept as golden text: a row for each, with its rule and verdict. To add
 * one, add a row and run `npx vitest run -u --project unit test/projections/report-golden.test.ts`.
 */
import { createReadStream } from 'node:fs';
import { openPlayer } from '../../adapters/scenario/played.ts';
import { jsonLines } from '../../adapters/scenario/reader.ts';
import type { ScenarioLine } from '../../adapters/scenario/scenario.ts';
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import type { Verdict } from '../../projections/finding.ts';
import { ASID, at, command, dma, issue, map, unmap } from '../support/build.ts';
import { deafHardware, given, lastOf, type Recorded } from '../support/entries.ts';
import { unmapWithQuirk } from '../support/kernel-story.ts';

export interface ReportCase {
  /** Of the golden file, `NAME.txt`. */
  readonly name: string;
  readonly rule: string;
  readonly verdict: Verdict;
  readonly log: () => Recorded | Promise<Recorded>;
}

const scenario = (name: string) => () => recordOf(`test/scenario/${name}.jsonl`);

// biome-ignore format: a table
export const reportCases: readonly ReportCase[] = [
  { name: 'unmap-without-tlbi',      rule: 'I3', verdict: 'used-stale',    log: scenario('bad-unmap-without-tlbi') },
  { name: 'asid-of-another',         rule: 'I3', verdict: 'used-stale',    log: scenario('bad-asid-of-another') },
  { name: 'range-one-page-short',    rule: 'I3', verdict: 'used-stale',    log: scenario('bad-range-one-page-short') },
  { name: 'command-never-submitted', rule: 'I3', verdict: 'used-stale',    log: scenario('bad-command-never-submitted') },
  { name: 'table-unlinked-leaf-1',   rule: 'I3', verdict: 'used-stale',    log: scenario('bad-table-unlinked-leaf-1') },
  { name: 'table-moved',             rule: 'I3', verdict: 'used-stale',    log: scenario('bad-table-moved-without-tlbi') },
  { name: 'nested-s2-ipa-only',      rule: 'I3', verdict: 'used-stale',    log: scenario('bad-nested-s2-ipa-only') },
  { name: 'batch-per-block',         rule: 'I3', verdict: 'used-stale',    log: scenario('bad-iommufd-batch-per-block') },
  { name: 'swallowed-by-the-vmm',    rule: 'I3', verdict: 'used-stale',    log: scenario('bad-vm-invalidations-swallowed') },
  { name: 'dirty-made-clean',        rule: 'I3', verdict: 'used-stale',    log: scenario('bad-httu-dirty-made-clean') },
  { name: 'too-early',               rule: 'I3', verdict: 'used-stale',    log: () => given(map(IOVA, at.data), tlbi(0), dma(IOVA), unmap(IOVA), dma(IOVA)) },
  { name: 'without-sync-reused',     rule: 'I2', verdict: 'could-be-used', log: () => given(map(IOVA, at.data), dma(IOVA), unmap(IOVA), tlbi(0, false), reuse) },
  { name: 'ste-without-cfgi',        rule: 'I8', verdict: 'used-stale',    log: scenario('bad-ste-changed-without-cfgi') },
  { name: 'cd-without-cfgi',         rule: 'I8', verdict: 'used-stale',    log: scenario('bad-cd-changed-without-cfgi') },
  { name: 'slot-altered',            rule: 'I7', verdict: 'protocol', log: scenario('bad-i7-slot-altered') },
  { name: 'ste-before-cd',           rule: 'I5', verdict: 'protocol', log: scenario('bad-b16-ste-before-cd') },
  { name: 'command-skipped',         rule: 'I6', verdict: 'protocol', log: scenario('bad-i6-command-skipped') },
  { name: 'gap-not-needed',          rule: 'I8', verdict: 'protocol', log: scenario('bad-b17-gap-not-needed') },
  { name: 'atc-in-reset',            rule: 'I9', verdict: 'protocol', log: scenario('bad-b28-atc-invalidated-in-reset') },
  { name: 'range-without-ril',       rule: 'I10', verdict: 'protocol', log: scenario('bad-i10-range-without-ril') },
  { name: 'stall-never-answered',    rule: 'I11', verdict: 'protocol', log: scenario('bad-i11-stall-never-answered') },
  { name: 'walk-of-another-base',   rule: 'I11', verdict: 'protocol', log: scenario('bad-b41-lower-address-walks-ttb1') },
  { name: 'same-command-again',      rule: 'I12', verdict: 'excess', log: scenario('bad-i12-same-command-again') },
  { name: 'page-freed-before-sync',  rule: 'I2', verdict: 'could-be-used', log: scenario('bad-b20-unmap-returns-before-sync') },
  { name: 'crooked-range',           rule: 'I1', verdict: 'used-stale', log: scenario('bad-b08-crooked-range') },
  { name: 'l1std-removed-leaf-1',    rule: 'I8', verdict: 'used-stale',    log: scenario('bad-l1std-removed-leaf-1') },
  { name: 'atc-not-invalidated',     rule: 'I9', verdict: 'used-stale',    log: scenario('bad-atc-not-invalidated') },
  { name: 'atc-before-sync',         rule: 'I9', verdict: 'used-stale',    log: scenario('bad-atc-invalidated-before-sync') },
  { name: 'freed-meanwhile',         rule: 'I3', verdict: 'used-stale',    log: () => recordLines(unmapWithQuirk) },
  { name: 'deaf-hardware',           rule: 'I1', verdict: 'used-stale',    log: survivor },
];

const IOVA = 0x5000;

function tlbi(from: number, sync = true): readonly Stimulus[] {
  const covering = command('CMD_TLBI_NH_VA', { ASID, Address: IOVA, Leaf: true });
  return issue(from, covering, ...(sync ? [command('CMD_SYNC')] : []));
}

/** The page becomes a translation table. */
const reuse: Stimulus = {
  type: 'mem.write',
  pa: at.table + 0x2008,
  bytes: Uint8Array.of(3, 0, 0, 1, 0, 0, 0, 0),
  actor: 'guest',
};

/** An entry that hardware kept although it was told to drop it. */
function survivor(): Recorded {
  const log = given(map(IOVA, at.data), dma(IOVA), unmap(IOVA), tlbi(0));
  const { seq, tick, cause, actor, ...used } = lastOf(log, 'access.completed');
  return deafHardware(log, used);
}

async function recordOf(file: string): Promise<Recorded> {
  const entries: Entry[] = [];
  const player = openPlayer((step) => entries.push(...step));
  for await (const { lines } of jsonLines(createReadStream(file), file))
    for (const { place, read } of lines) player.play(read(), place);
  return { machine: player.machine as MachineConfig, entries };
}

function recordLines(lines: readonly ScenarioLine[]): Recorded {
  const entries: Entry[] = [];
  const player = openPlayer((step) => entries.push(...step));
  for (const [at, line] of lines.entries()) player.play(line, { file: 'story', line: at + 1 });
  return { machine: player.machine as MachineConfig, entries };
}

/** Whether entries say of whom the machine's memory is. */
export const hasKernel = ({ machine }: Recorded): boolean => Boolean(machine.kernel);
