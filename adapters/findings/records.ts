/**
 * Small files of JSON Lines that people keep beside their sources: suppressions and baselines. Blank lines and
 * `//` lines are skipped. What is wrong is said with file, line, field, what was expected and what stood there.
 */
import { readFileSync } from 'node:fs';
import { messageOf } from '../../snapshots/store-error.ts';
import { InputError, showFound } from '../input-error.ts';
import { type Fields, type ObjectOf, strict } from '../scenario/values.ts';

export type FileRecord<F extends Fields> = ObjectOf<F> & { readonly line: number };

/** The records of a file, or an InputError for its first bad line. */
export function readRecords<const F extends Fields>(file: string, fields: F): readonly FileRecord<F>[] {
  const schema = strict(fields);
  return textOf(file)
    .split('\n')
    .flatMap((text, at) => {
      const content = text.trim();
      if (content === '' || content.startsWith('//')) return [];
      const place = { file, line: at + 1 };
      const raw = parsed(content, place);
      const read = schema.safeParse(raw);
      if (read.success) return [{ ...(read.data as ObjectOf<F>), line: at + 1 }];
      const [issue] = read.error.issues;
      const field = issue?.path.join('.') ?? '';
      const found = field === '' ? '' : `, found ${showFound((raw as Record<string, unknown>)[field])}`;
      throw new InputError(`${field === '' ? '' : `${field}: `}${issue?.message}${found}`, place);
    });
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError(`cannot read ${file}: ${messageOf(error)}`);
  }
}

function parsed(content: string, place: { readonly file: string; readonly line: number }): object {
  let raw: unknown;
  try {
    raw = JSON.parse(content);
  } catch (error) {
    throw new InputError(`expected a JSON object, found what is no JSON (${messageOf(error)})`, place);
  }
  if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) return raw;
  throw new InputError(`expected a JSON object, found ${showFound(raw)}`, place);
}
