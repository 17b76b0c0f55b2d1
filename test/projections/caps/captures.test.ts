/**
 * The ledger of the captures of a real driver: from what it read of the ID registers follows what it enables, and
 * the column `used` equals what it then did. What it did is picked out of the captured register writes, commands and
 * stores by bit numbers written here, not by the ledger's own tables.
 */
import { describe, expect, it } from 'vitest';
import { fieldNames } from '../../../projections/caps/fields.ts';
import { ledger } from '../../../projections/caps/ledger.ts';
import type { LedgerRow } from '../../../projections/caps/row.ts';
import { judge } from '../../../projections/caps/verdict.ts';
import { runProjections } from '../../../projections/projection.ts';
import { capturedDriver } from '../../support/captured-driver.ts';
import { captures, importFile } from '../../support/import-trace.ts';

type Name = keyof typeof captures;

/** The last value that the driver wrote to a register, addresses left out. */
function written(steps: readonly string[], register: string): bigint {
  const found = steps.findLast((step) => step.startsWith(`w ${register}=`)) ?? '';
  return BigInt(/(0x[0-9a-f]+)$/.exec(found)?.[1] ?? -1);
}

interface Command {
  readonly name: string;
  readonly lo: bigint;
  readonly hi: bigint;
}

const commandsIn = (steps: readonly string[]): readonly Command[] =>
  steps.flatMap((step) => {
    const [, name = '', lo = '0', hi = '0'] = /^cmd #\d+ (\w+) (\S+) (\S+)$/.exec(step) ?? [];
    return name === '' ? [] : [{ name, lo: BigInt(lo), hi: BigInt(hi) }];
  });

const bits = (value: bigint, hi: number, lo: number): number =>
  Number((value >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n));

/** What the driver did of what fields offer, as the capture has it; undefined: nothing. */
function done(name: Name): Readonly<Record<string, number | boolean>> {
  const { steps } = capturedDriver(name);
  const commands = commandsIn(steps);
  const most = steps.flatMap((step) => (/^w CR0=/.test(step) ? [BigInt(step.slice(6))] : []));
  const cr0 = most.reduce((all, each) => all | each, 0n);
  const cd = BigInt(
    /^ {2}cd (0x[0-9a-f]+)/.exec(steps.find((step) => /^ {2}cd /.test(step)) ?? '')?.[1] ?? 0,
  );
  const config = written(steps, 'STRTAB_BASE_CFG');
  const asids = commands.flatMap(({ name: command, lo }) =>
    /NH_(ASID|VA)$/.test(command) ? [bits(lo, 63, 48)] : [],
  );
  return {
    pri: bits(cr0, 1, 1) === 1,
    ats: bits(cr0, 4, 4) === 1 || commands.some((each) => each.name === 'CMD_ATC_INV'),
    e2h: bits(written(steps, 'CR2'), 0, 0) === 1,
    twoLevel: bits(config, 17, 16) === 1,
    sidBits: bits(config, 5, 0),
    cmdqLog2: bits(written(steps, 'CMDQ_BASE'), 4, 0),
    evtqLog2: bits(written(steps, 'EVENTQ_BASE'), 4, 0),
    messages: written(steps, 'GERROR_IRQ_CFG0') !== 0n || written(steps, 'EVENTQ_IRQ_CFG0') !== 0n,
    syncMessages: commands.some(
      (each) => each.name === 'CMD_SYNC' && bits(each.lo, 13, 12) === 1 && each.hi !== 0n,
    ),
    ranges: commands.some((each) => /NH_VA$/.test(each.name) && bits(each.hi, 11, 10) !== 0),
    wideAsids: asids.some((asid) => asid > 255),
    oas: bits(cd, 34, 32),
    granule: bits(cd, 7, 6),
    little: bits(cd, 15, 15) === 0,
    stalls: bits(cd, 44, 44) === 1,
    updates: bits(cd, 43, 42),
    substreams: false,
  };
}

async function rowsOf(name: Name): Promise<(field: string) => LedgerRow> {
  const { entries, machine } = await importFile(captures[name]);
  const [rows] = runProjections(entries, [ledger(machine)]);
  expect(rows.map(({ field }) => field)).toEqual(fieldNames);
  return (field) => {
    const row = rows.find((each) => each.field === field);
    if (row === undefined) throw new Error(`no row ${field}`);
    return row;
  };
}

const used = (row: LedgerRow): string | undefined => row.cells.used?.by;

describe.each(['clean', 'stale', 'faults'] as const)('the ledger of the capture %s', (name) => {
  it('has in `used` what the driver did, and nothing else', async () => {
    const row = await rowsOf(name);
    const did = done(name);
    expect(
      Object.fromEntries(
        fieldNames.flatMap((field) => (used(row(field)) === undefined ? [] : [[field, used(row(field))]])),
      ),
    ).toEqual({
      'IDR0.S1P': 'a CD',
      'IDR0.TTF': 'CD.AA64',
      ...(did['little'] === true ? { 'IDR0.TTENDIAN': 'CD.ENDI=0' } : {}),
      'IDR0.STALL_MODEL': did['stalls'] === true ? 'CD.S' : 'CD.S=0',
      ...(did['twoLevel'] === true ? { 'IDR0.ST_LEVEL': 'STRTAB_BASE_CFG.FMT' } : {}),
      'IDR1.SIDSIZE': `STRTAB_BASE_CFG.LOG2SIZE=${did['sidBits']}`,
      'IDR1.CMDQS': `LOG2SIZE=${did['cmdqLog2']}`,
      'IDR1.EVENTQS': `LOG2SIZE=${did['evtqLog2']}`,
      ...(did['ranges'] === true ? { 'IDR3.RIL': 'CMD_TLBI_NH_VA of a range' } : {}),
      'IDR5.OAS': `CD.IPS=${did['oas']}`,
      'IDR5.GRAN4K': 'CD.TG0=4KB',
    });
    // What the capture does not do is nowhere in the column.
    expect(did).toMatchObject({ pri: false, ats: false, e2h: false, messages: false, syncMessages: false });
    expect(did).toMatchObject({ wideAsids: false, stalls: false, updates: 0, granule: 0, ranges: true });
  });

  it('enables by the registers alone what the driver then did', async () => {
    const row = await rowsOf(name);
    const did = done(name);
    const enabled = (field: string): string => String(row(field).cells.enabled?.value);
    const yes = (on: unknown, word: string): string => (on === true ? word : 'nothing');
    expect(enabled('IDR0.PRI')).toBe(yes(did['pri'], 'pri'));
    expect(enabled('IDR0.ATS')).toBe(yes(did['ats'], 'ats'));
    expect(enabled('IDR0.Hyp')).toBe(yes(did['e2h'], 'hyp e2h'));
    expect(enabled('IDR0.MSI')).toBe(yes(did['syncMessages'], 'msiPolling'));
    expect(enabled('IDR0.ST_LEVEL')).toBe(yes(did['twoLevel'], 'twoLevelStrtab'));
    expect(enabled('IDR3.RIL')).toBe(yes(did['ranges'], 'rangeInv'));
    expect(enabled('IDR0.HTTU')).toBe(yes(Number(did['updates']) > 0, 'ha hd'));
    expect(enabled('IDR1.SSIDSIZE')).toBe(yes(did['substreams'], 'ssidBits'));
    expect(enabled('IDR1.SIDSIZE')).toBe(`sidBits=${did['sidBits']}`);
    expect(enabled('IDR5.OAS')).toBe(`oas=${[32, 36, 40, 42, 44, 48, 52][Number(did['oas'])]}`);
    // Queues: what the registers allow; memory was short of it.
    expect(enabled('IDR1.CMDQS')).toBe('cmdqLog2=19');
    expect(Number(did['cmdqLog2'])).toBeLessThanOrEqual(19);
  });

  it('finds nothing that was used beyond what was told', async () => {
    const row = await rowsOf(name);
    const bad = fieldNames.filter((field) => !['ok', 'unused'].includes(judge(row(field)).verdict));
    expect(bad).toEqual([]);
  });
});

it('a driver that takes more than it was told is seen: the same capture, an SMMU without ranges', async () => {
  const { entries, machine } = await importFile(captures.stale);
  const told = entries.map((entry) =>
    entry.type === 'register.read' && entry.register === 'IDR3'
      ? { ...entry, value: entry.value & ~0x400n }
      : entry,
  );
  const smmus = machine.smmus.map((smmu) => ({ ...smmu, idr: { ...smmu.idr, IDR3: 0x1004 } }));
  const [rows] = runProjections(told, [ledger({ ...machine, smmus })]);
  const row = rows.find(({ field }) => field === 'IDR3.RIL');
  expect(row && judge(row)).toMatchObject({
    verdict: 'mismatch',
    why: 'guest told 0, used: CMD_TLBI_NH_VA of a range',
  });
});
