/** Looking things up by a name that came from outside: `__proto__` is a name like any other. */

/** What stands under `name` in the record itself. */
export function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
