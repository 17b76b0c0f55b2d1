/**
 * The little language of `bisect --when`: comparisons of paths, `finding(RULE)` and `count(TYPE)`, joined with
 * `and`, `or`, `not` and parentheses. Numbers compare as numbers however they are written; what a path leads
 * to is what `show --json` gives. A bare word on the right of a comparison is a text.
 */
import { InputError } from '../input-error.ts';

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'contains';

export type Operand =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'value'; readonly value: string | bigint | boolean | null }
  | { readonly kind: 'finding'; readonly rule: string }
  | { readonly kind: 'count'; readonly types: string };

export type Predicate =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Predicate[] }
  | { readonly kind: 'not'; readonly of: Predicate }
  | { readonly kind: 'compare'; readonly op: Comparison; readonly left: Operand; readonly right: Operand }
  | { readonly kind: 'holds'; readonly of: Operand };

/** For help, and for messages about what was expected. */
export const predicateHelp =
  'EXPR: PATH == VALUE (also != < <= > >= contains), finding(RULE), count(TYPE), and, or, not, ( )';

const TOKEN =
  /\s*(?:(finding|count)\s*\(\s*([\w.*,-]+)\s*\)|(==|=|!=|<=|>=|<|>|\(|\))|"([^"]*)"|(0[xX][0-9a-fA-F]+|\d+)(?![\w.])|([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*|\[(?:0[xX][0-9a-fA-F]+|\d+)\])*))/y;

type Token =
  | { readonly is: 'operand'; readonly operand: Operand; readonly at: number }
  | { readonly is: 'word'; readonly text: string; readonly at: number }
  | { readonly is: 'sign'; readonly text: string; readonly at: number };

/** Reads an expression; InputError with the place where it is wrong. */
export function parsePredicate(text: string): Predicate {
  const reader = new Reader(text, tokensOf(text));
  const found = reader.either();
  reader.end();
  return found;
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (text.slice(at).trim() !== '') {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (found === null) throw wrong(text, at, 'a path, a value or a comparison');
    const [whole, call, argument = '', sign, quoted, number, word] = found;
    const start = at + whole.length - whole.trimStart().length;
    at = TOKEN.lastIndex;
    if (call === 'finding') tokens.push(operandAt(start, { kind: 'finding', rule: argument }));
    else if (call === 'count') tokens.push(operandAt(start, { kind: 'count', types: argument }));
    else if (sign !== undefined) tokens.push({ is: 'sign', text: sign === '=' ? '==' : sign, at: start });
    else if (quoted !== undefined) tokens.push(operandAt(start, { kind: 'value', value: quoted }));
    else if (number !== undefined) tokens.push(operandAt(start, { kind: 'value', value: BigInt(number) }));
    else tokens.push({ is: 'word', text: word ?? '', at: start });
  }
  return tokens;
}

function operandAt(at: number, operand: Operand): Token {
  return { is: 'operand', operand, at };
}

function wrong(text: string, at: number, expected: string): InputError {
  const rest = text.slice(at).trim();
  return new InputError(
    `--when: expected ${expected} at column ${at + 1}, found ${rest === '' ? 'the end' : `"${rest}"`}; ${predicateHelp}`,
  );
}

const WORDS: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null };
const SIGNS: readonly string[] = ['==', '!=', '<', '<=', '>', '>='];

/** Recursive descent; `or` binds least. */
class Reader {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(text: string, tokens: readonly Token[]) {
    this.#text = text;
    this.#tokens = tokens;
  }

  either(): Predicate {
    return this.#joined('or', () => this.#joined('and', () => this.#single()));
  }

  end(): void {
    if (this.#next < this.#tokens.length) throw this.#wrong('and, or, or the end');
  }

  #joined(word: 'and' | 'or', part: () => Predicate): Predicate {
    const parts = [part()];
    while (this.#takeWord(word)) parts.push(part());
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : { kind: word, parts };
  }

  #single(): Predicate {
    if (this.#takeWord('not')) return { kind: 'not', of: this.#single() };
    if (this.#takeSign('(')) {
      const inner = this.either();
      if (!this.#takeSign(')')) throw this.#wrong(')');
      return inner;
    }
    const left = this.#operand(false);
    const op = this.#comparison();
    return op === undefined
      ? { kind: 'holds', of: left }
      : { kind: 'compare', op, left, right: this.#operand(true) };
  }

  /** @param isRight a bare word there is a text. */
  #operand(isRight: boolean): Operand {
    const token = this.#tokens[this.#next];
    if (token === undefined || token.is === 'sign') throw this.#wrong('a path or a value');
    this.#next += 1;
    if (token.is === 'operand') return token.operand;
    const { text } = token;
    if (Object.hasOwn(WORDS, text)) return { kind: 'value', value: WORDS[text] ?? null };
    return isRight && !/[.[]/.test(text) ? { kind: 'value', value: text } : { kind: 'path', path: text };
  }

  #comparison(): Comparison | undefined {
    const token = this.#tokens[this.#next];
    if (token?.is === 'word' && token.text === 'contains') {
      this.#next += 1;
      return 'contains';
    }
    if (token?.is !== 'sign' || !SIGNS.includes(token.text)) return undefined;
    this.#next += 1;
    return token.text as Comparison;
  }

  #takeWord(word: string): boolean {
    const token = this.#tokens[this.#next];
    if (token?.is !== 'word' || token.text !== word) return false;
    this.#next += 1;
    return true;
  }

  #takeSign(sign: string): boolean {
    const token = this.#tokens[this.#next];
    if (token?.is !== 'sign' || token.text !== sign) return false;
    this.#next += 1;
    return true;
  }

  #wrong(expected: string): InputError {
    return wrong(this.#text, this.#tokens[this.#next]?.at ?? this.#text.length, expected);
  }
}

/** All operands of an expression, in order. */
export function operandsOf(predicate: Predicate): readonly Operand[] {
  if (predicate.kind === 'not') return operandsOf(predicate.of);
  if (predicate.kind === 'holds') return [predicate.of];
  if (predicate.kind === 'compare') return [predicate.left, predicate.right];
  return predicate.parts.flatMap(operandsOf);
}

/** What stands for an operand at one moment: JSON data. */
export type Lookup = (operand: Operand) => unknown;

/** Whether the expression holds; InputError where an order is asked of what has none. */
export function holds(predicate: Predicate, look: Lookup): boolean {
  switch (predicate.kind) {
    case 'and':
      return predicate.parts.every((part) => holds(part, look));
    case 'or':
      return predicate.parts.some((part) => holds(part, look));
    case 'not':
      return !holds(predicate.of, look);
    case 'holds':
      return isTruth(operandValue(predicate.of, look));
    case 'compare':
      return compare(predicate.op, operandValue(predicate.left, look), operandValue(predicate.right, look));
  }
}

function operandValue(operand: Operand, look: Lookup): unknown {
  return operand.kind === 'value' ? operand.value : look(operand);
}

/** Not nothing, not 0, not false, not empty. */
function isTruth(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '') return false;
  if (Array.isArray(value)) return value.length > 0;
  const number = numberOf(value);
  return number === undefined || number !== 0n;
}

function numberOf(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return BigInt(value);
  if (typeof value === 'boolean') return value ? 1n : 0n;
  return typeof value === 'string' && /^(0[xX][0-9a-fA-F]+|\d+)$/.test(value) ? BigInt(value) : undefined;
}

function compare(op: Comparison, left: unknown, right: unknown): boolean {
  if (op === 'contains') return Array.isArray(left) && left.some((each) => isEqual(each, right));
  if (op === '==') return isEqual(left, right);
  if (op === '!=') return !isEqual(left, right);
  if (left === null || right === null || left === undefined) return false;
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a === undefined || b === undefined)
    throw new InputError(
      `--when: expected numbers on both sides of ${op}, found ${show(left)} and ${show(right)}`,
    );
  return op === '<' ? a < b : op === '<=' ? a <= b : op === '>' ? a > b : a >= b;
}

function isEqual(left: unknown, right: unknown): boolean {
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined && b !== undefined) return a === b;
  if (left === null || right === null) return left === right;
  return typeof left === 'object' ? false : String(left) === String(right);
}

function show(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : `"${String(value)}"`;
}
