/**
 * A draft of every field costs more than the step that uses it, so a session works on a plain copy of
 * the control state and immer is asked once, when a state is published: what did not change stays
 * the same object, and what was published never changes. The large parts are class instances, which
 * are shared, not copied.
 */
import { produce } from 'immer';

type Plain = Record<string, unknown>;

/** A copy that may be written: plain objects and arrays are copied, all else is shared. */
export function workingCopy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(workingCopy) as T;
  if (!isPlain(value)) return value;
  const copy: Plain = {};
  for (const key in value) copy[key] = workingCopy(value[key]);
  return copy as T;
}

/** `base` with the values of `working`; equal parts keep their identity. */
export function publishChanges<T extends object>(base: T, working: T): T {
  return produce(base, (draft) => assignChanges(draft as Plain, base as Plain, working as Plain));
}

function assignChanges(draft: Plain, base: Plain, working: Plain): void {
  for (const key in working) {
    const now = working[key];
    const before = base[key];
    if (now === before || sameContent(before, now)) continue;
    // What is published must not be what the session goes on writing.
    if (isPlain(now) && isPlain(before)) assignChanges(draft[key] as Plain, before, now);
    else draft[key] = workingCopy(now);
  }
  for (const key in base) if (!(key in working)) delete draft[key];
}

/** Whether two parts are equal; never looks into class instances. */
function sameContent(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((each, index) => sameContent(each, b[index]));
  }
  if (!isPlain(a) || !isPlain(b)) return false;
  for (const key in b) if (!sameContent(a[key], b[key])) return false;
  for (const key in a) if (!(key in b)) return false;
  return true;
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
