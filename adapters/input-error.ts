/** The outside is wrong: a scenario line, a trace, a path, a flag. Always with its place. */

export interface Place {
  readonly file: string;
  /** 1 is the first line. */
  readonly line?: number | undefined;
}

/** Thrown and caught in adapters only; its message is all that the user sees. */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly place: Place | undefined;

  constructor(message: string, place?: Place) {
    super(place === undefined ? message : `${showPlace(place)}: ${message}`);
    this.place = place;
  }
}

function showPlace({ file, line }: Place): string {
  return line === undefined ? file : `${file}:${line}`;
}

const FOUND_MAX = 60;

/** What stood there, short enough for a line of a message. */
export function showFound(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text =
    JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `0x${each.toString(16)}` : each)) ??
    typeof value;
  return text.length <= FOUND_MAX ? text : `${text.slice(0, FOUND_MAX - 3)}...`;
}
