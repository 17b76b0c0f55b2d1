/** The table of explanations: a row for each type of entry that has causes of its own. */
import { type Entry, isStimulus, schemas } from '../../../core/event.ts';
import { accessRows } from './access.ts';
import { commandRows } from './commands.ts';
import { fillRows } from './fills.ts';
import { kernelRows } from './kernel.ts';
import type { Evidence, Reason, Row, Rows } from './reason.ts';
import { asked, memoryRows, registerRows } from './registers.ts';

/** Any other type: the entries its fields refer to, and who asked. */
const other: Row = {
  below: (e, evidence) => {
    if (isStimulus(e)) return followed(e, evidence);
    const referred = Object.entries(schemas[e.type]).flatMap(([name, { refers }]) => {
      const value = refers === true ? (e as unknown as Record<string, unknown>)[name] : undefined;
      const seqs = Array.isArray(value) ? (value as number[]) : typeof value === 'number' ? [value] : [];
      return seqs.flatMap((seq) => evidence.because(name, seq));
    });
    return [...referred, ...asked(e, evidence)];
  },
};

function followed(e: Entry, evidence: Evidence): readonly Reason[] {
  const [, first] = evidence.step(e);
  return first === undefined ? [] : evidence.because('gave', first.seq);
}

const own: Rows = {
  ...accessRows,
  ...commandRows,
  ...fillRows,
  ...kernelRows,
  ...registerRows,
  ...memoryRows,
};

/** How entries of a type are explained. */
export const rows: Rows = {
  ...Object.fromEntries(Object.keys(schemas).map((type) => [type, other])),
  ...own,
};
