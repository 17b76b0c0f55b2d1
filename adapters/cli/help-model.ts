/** `help smmu`: what is modelled, as text and as objects. */
import { type ModelRow, modelSections } from './model-listing.ts';

/** A heading for each table, and a row for each thing in it. */
export function smmuHelp(): string[] {
  return modelSections().flatMap(({ title, rows }) => [`${title}:`, ...rows.flatMap(rowLines), '']);
}

/** The same as objects, each with the name of its table. */
export function smmuRows(): readonly object[] {
  return modelSections().flatMap(({ name: section, rows }) => rows.map((row) => ({ section, ...row })));
}

const NAME_WIDTH = 26;
const SPEC_WIDTH = 14;

/** Short values beside the name; lists and sentences on lines of their own. */
function rowLines({ name, spec, ...more }: ModelRow): string[] {
  const short: string[] = [];
  const long: string[] = [];
  for (const [field, value] of Object.entries(more)) {
    if (value === undefined || value === false) continue;
    if (Array.isArray(value)) {
      if (value.length > 0) long.push(`${field}: ${value.join(', ')}`);
    } else if (typeof value === 'string' && value.includes(' ')) long.push(`${field}: ${value}`);
    else short.push(value === true ? field : `${field}=${value}`);
  }
  const head = `  ${name.padEnd(NAME_WIDTH)} ${(spec ?? '').padEnd(SPEC_WIDTH)} ${short.join(' ')}`;
  return [head.trimEnd(), ...long.map((text) => `      ${text}`)];
}
