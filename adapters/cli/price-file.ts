/**
 * Price lists as files: JSON Lines, one row each, in place of the rows of the built-in list. What is wrong with a row is
 * told with its line and field, before anything is counted.
 */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { meant } from '../../core/path/near.ts';
import { bases, defaultPrices, isCounted, type Price, type Prices } from '../../projections/cost/prices.ts';
import { messageOf } from '../../snapshots/store-error.ts';
import { InputError, showFound } from '../input-error.ts';

const NS = 'nanoseconds, a number from 0 to 1e12';
const ns = z.number(`expected ${NS}`).min(0, `expected ${NS}`).max(1e12, `expected ${NS}`);
const row = z.strictObject({
  what: z.string('expected what is priced, as "exit.write" or "command.host CMD_ATC_INV"'),
  low: ns.optional(),
  typical: ns,
  high: ns.optional(),
  per: z
    .number('expected a count, 1 or more')
    .int('expected a count, 1 or more')
    .min(1, 'expected a count, 1 or more')
    .optional(),
  basis: z.enum(bases, `expected one of ${bases.join(', ')}`),
  source: z.string('expected who says so').min(1, 'expected who says so'),
});

/** The built-in list with the rows of a file in place of its own. */
export function readPrices(file: string): Prices {
  const prices: Record<string, Price> = { ...defaultPrices };
  for (const [at, text] of textOf(file).split('\n').entries()) {
    const content = text.trim();
    if (content === '' || content.startsWith('//')) continue;
    const { what, ...price } = parseRow(content, { file, line: at + 1 });
    prices[what] = price;
  }
  return prices;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError(`--prices: cannot read ${file}: ${messageOf(error)}`);
  }
}

type Place = { readonly file: string; readonly line: number };

function parseRow(content: string, place: Place): Price & { readonly what: string } {
  const raw = jsonOf(content, place);
  const parsed = row.safeParse(raw);
  if (!parsed.success) throw issueOf(parsed.error, raw, place);
  const { what, typical, low = typical, high = typical, per, basis, source } = parsed.data;
  const [kind = ''] = what.split(' ');
  if (!isCounted(kind)) {
    const near = meant(kind, Object.keys(defaultPrices));
    throw new InputError(
      `what: expected something that is counted (\`backwalk help prices\`), found "${what}"${near}`,
      place,
    );
  }
  if (low > typical || typical > high)
    throw new InputError(`typical: expected ${low} to ${high}, from low to high, found ${typical}`, place);
  return { what, low, typical, high, basis, source, ...(per === undefined ? {} : { per }) };
}

function jsonOf(content: string, place: Place): unknown {
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new InputError(`expected a JSON object, found what is no JSON (${messageOf(error)})`, place);
  }
}

function issueOf(error: z.ZodError, raw: unknown, place: Place): InputError {
  const [issue] = error.issues;
  if (issue?.code === 'unrecognized_keys') {
    const known = Object.keys(row.shape);
    const [key = ''] = issue.keys;
    return new InputError(
      `${key}: expected one of the fields ${known.join(', ')}${meant(key, known)}`,
      place,
    );
  }
  const field = issue?.path.join('.') ?? '';
  const found = field === '' ? raw : (raw as Readonly<Record<string, unknown>>)[field];
  const expected = field === '' ? 'expected a JSON object' : (issue?.message ?? 'expected another value');
  return new InputError(`${field === '' ? '' : `${field}: `}${expected}, found ${showFound(found)}`, place);
}
