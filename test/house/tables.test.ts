/**
 * Every row of a table is named by some test, scenario or golden file. Rows that nothing names yet stand
 * in `unreached.ts` with a reason; a new row without a test fails, and so does a listed row that a test
 * names by now.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { vocabulary } from '../../adapters/scenario/vocabulary.ts';
import { events } from '../../core/event.ts';
import { cdRules } from '../../core/smmu/cd-rules.ts';
import { choices } from '../../core/smmu/choices.ts';
import { cerrors } from '../../core/smmu/codes.ts';
import { commandLayouts } from '../../core/smmu/command-layout.ts';
import { eventRecords } from '../../core/smmu/event-record.ts';
import { gerrorBits } from '../../core/smmu/gerror.ts';
import { idrRules } from '../../core/smmu/idr-rules.ts';
import { ecmdqRegisters, registers, vatosRegisters } from '../../core/smmu/registers.ts';
import { steRules } from '../../core/smmu/ste-rules.ts';
import { stimuli } from '../../core/stimulus.ts';
import { filesUnder, top } from './sources.ts';
import { unreached } from './unreached.ts';

/** Listings of whole tables say nothing about a row's behaviour. */
const LISTINGS = /^test\/(house|data)\/|layout-listing\.test\.ts$/;

const corpus = filesUnder('test')
  .filter((path) => /\.(ts|jsonl|txt|log|trace|out|expected)$/.test(path) && !LISTINGS.test(path))
  .map((path) => readFileSync(join(top, path), 'utf8'))
  .join('\n');

type Mention = (name: string) => RegExp;
const escaped = (name: string): string => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
/** The name as a whole word. */
const word: Mention = (name) => new RegExp(`(?<![\\w-])${escaped(name)}(?![\\w-])`);
/** The name in quotation marks. */
const quoted: Mention = (name) => new RegExp(`['"\`]${escaped(name)}['"\`]`);
/** A field `type` or `op` with this value. */
const tagged: Mention = (name) => new RegExp(`\\b(type|op)['"]?:\\s*['"]${escaped(name)}['"]`);

const registerRows = [...registers.list, ...vatosRegisters.list, ...ecmdqRegisters.list].map(
  ({ name }) => name,
);

const tables: Readonly<
  Record<keyof typeof unreached, { readonly rows: readonly string[]; readonly mention: Mention }>
> = {
  commands: { rows: Object.keys(commandLayouts), mention: word },
  'event records': { rows: Object.keys(eventRecords), mention: word },
  CERRORs: { rows: Object.keys(cerrors), mention: word },
  'GERROR bits': { rows: Object.keys(gerrorBits), mention: word },
  'STE rules': { rows: steRules.map(({ name }) => name), mention: word },
  'CD rules': { rows: cdRules.map(({ name }) => name), mention: word },
  'IDR rules': { rows: idrRules.map(({ name }) => name), mention: word },
  registers: { rows: registerRows, mention: word },
  choices: { rows: Object.keys(choices), mention: word },
  stimuli: { rows: Object.keys(stimuli), mention: tagged },
  events: { rows: Object.keys(events), mention: quoted },
  'scenario ops': { rows: Object.keys(vocabulary), mention: tagged },
};

describe('every row of the table is named by a test:', () => {
  for (const [table, { rows, mention }] of Object.entries(tables)) {
    const excuses: Readonly<Record<string, readonly string[]>> = unreached[table as keyof typeof unreached];
    const excused = Object.values(excuses).flat();

    it(table, () => {
      const silent = rows.filter((row) => !mention(row).test(corpus) && !excused.includes(row));
      expect(silent, 'rows without a test').toEqual([]);
    });

    it(`${table}, and no excuse is stale`, () => {
      const stale = excused.filter((row) => !rows.includes(row) || mention(row).test(corpus));
      expect(stale, 'excused rows that are gone, or that a test names').toEqual([]);
    });
  }
});
