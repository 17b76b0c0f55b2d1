/** `help smmu` lists every row of the model's tables, as text and with --json as objects. */
import { describe, expect, it } from 'vitest';
import { broadcasts } from '../../../core/smmu/broadcast.ts';
import { cdRules } from '../../../core/smmu/cd-rules.ts';
import { choices } from '../../../core/smmu/choices.ts';
import { cerrors } from '../../../core/smmu/codes.ts';
import { commandLayouts } from '../../../core/smmu/command-layout.ts';
import { commandNotes } from '../../../core/smmu/command-notes.ts';
import { eventRecords } from '../../../core/smmu/event-record.ts';
import { gerrorBits } from '../../../core/smmu/gerror.ts';
import { idrRules } from '../../../core/smmu/idr-rules.ts';
import { profiles } from '../../../core/smmu/profiles.ts';
import { ecmdqRegisters, registers, vatosRegisters } from '../../../core/smmu/registers.ts';
import { cacheNames } from '../../../core/smmu/state.ts';
import { steRules } from '../../../core/smmu/ste-rules.ts';
import { smmuUnits } from '../../../core/smmu/units.ts';
import { openShell } from './backwalk.ts';

const shell = openShell();
const text = (await shell.backwalk('help', 'smmu')).out;
const rows = (await shell.backwalk('--json', 'help', 'smmu')).out.map(
  (line) => JSON.parse(line) as Readonly<Record<string, unknown>>,
);

const names = (list: readonly { readonly name: string }[]): readonly string[] => list.map(({ name }) => name);
const sections: Readonly<Record<string, readonly string[]>> = {
  registers: names(registers.list),
  'vatos registers': names(vatosRegisters.list),
  'ecmdq registers': names(ecmdqRegisters.list),
  commands: Object.keys(commandLayouts),
  'command notes': names(commandNotes),
  cerrors: Object.keys(cerrors),
  gerrors: Object.keys(gerrorBits),
  'event records': Object.keys(eventRecords),
  'ste rules': names(steRules),
  'cd rules': names(cdRules),
  'idr rules': names(idrRules),
  queues: ['CMDQ', 'EVENTQ', 'PRIQ', 'ECMDQ', 'VCMDQ'],
  caches: cacheNames,
  units: names(smmuUnits),
  broadcasts: Object.keys(broadcasts),
  choices: Object.keys(choices),
  profiles: Object.keys(profiles),
};

describe('help smmu', () => {
  it('has a section for each table, with each of its rows, and no more', () => {
    const listed: Record<string, string[]> = {};
    for (const { section, name } of rows) {
      const own = listed[String(section)] ?? [];
      own.push(String(name));
      listed[String(section)] = own;
    }
    expect(listed).toEqual(sections);
  });

  it('says the same as text, in lines that a terminal shows', () => {
    const headed = text.filter((line) => /^ {2}\S/.test(line)).map((line) => line.trim().split(' ')[0]);
    expect(headed).toEqual(rows.map(({ name }) => name));
    expect(text.filter((line) => line.length > 80)).toEqual([]);
  });

  const row = (section: string, name: string) =>
    rows.find((each) => each['section'] === section && each['name'] === name);

  it('gives a register its place and its rules', () => {
    expect(row('registers', 'CR2')).toEqual({
      section: 'registers',
      name: 'CR2',
      spec: '6.3.12',
      offset: '0x2c',
      width: 32,
      access: 'RW',
      reset: 'UNKNOWN',
      fields: ['E2H', 'RECINVSID', 'PTM', 'REC_CFG_ATS'],
      guards: ['SMMUEN'],
    });
    const at = text.findIndex((line) => line.startsWith('  CR2 '));
    expect(
      text
        .slice(at, at + 2)
        .join(' ')
        .split(/ +/),
    ).toEqual(' CR2 6.3.12 offset=0x2c width=32 access=RW reset=UNKNOWN'.split(' '));
    expect(text.some((line) => line.trim() === 'guards: SMMUEN')).toBe(true);
  });

  it('gives a command what makes it illegal, asked of the model', () => {
    const illegal = (name: string) => row('commands', name)?.['illegal'];
    expect(illegal('CMD_CFGI_STE')).toEqual(['SSec=1']);
    expect(illegal('CMD_ATC_INV')).toEqual(['IDR0.ATS=0', 'Size>52']);
    expect(illegal('CMD_PRI_RESP')).toEqual(['IDR0.PRI=0', 'Resp=3']);
    expect(illegal('CMD_SYNC')).toEqual(['CS=3']);
    expect(illegal('CMD_TLBI_NH_VA')).toEqual(['IDR0.S1P=0', 'TG with NUM=0, SCALE=0 and TTL=0']);
    expect(illegal('CMD_TLBI_NSNH_ALL')).toEqual([]);
    const does = (name: string) => row('commands', name)?.['does'];
    expect(does('CMD_TLBI_EL3_ALL')).toBe('always CERROR_ILL');
    expect(does('CMD_STALL_TERM')).toBe('acts at consumption');
    expect(does('CMD_PREFETCH_ADDR')).toBe('acts after consumption');
    expect(does('CMD_CFGI_STE')).toBe('invalidates');
  });

  it('gives a broadcast what it carries and needs, a record its number, a cache its capacity', () => {
    expect(row('broadcasts', 'RVAAE2')).toMatchObject({
      takes: ['va', 'tg', 'num', 'scale', 'ttl'],
      needs: ['IDR0.BTM', 'IDR0.Hyp', 'IDR0.S1P', 'IDR3.RIL', 'a PE in EL2-E2H'],
    });
    expect(row('event records', 'F_PERMISSION')).toMatchObject({
      number: '0x13',
      stall: true,
      spec: '7.3.16',
    });
    expect(row('caches', 'l1cd')).toMatchObject({ capacity: 'cd' });
  });
});

describe('a topic without rows', () => {
  it('is one object a line too', async () => {
    const plain = (await shell.backwalk('help', 'paths')).out;
    const told = (await shell.backwalk('--json', 'help', 'paths')).out.map((line) => JSON.parse(line));
    const words = (lines: readonly string[]) => lines.join(' ').split(/\s+/);
    expect(words(told.map(({ text: line }) => line))).toEqual(words(plain));
  });
});
