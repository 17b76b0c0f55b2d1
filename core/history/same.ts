/** Whether two values of a state or of entries are equal. */

/** Deep equality of plain data. */
export function isSame(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (left instanceof Uint8Array || right instanceof Uint8Array) {
    if (!(left instanceof Uint8Array && right instanceof Uint8Array)) return false;
    return left.length === right.length && left.every((value, at) => value === right[at]);
  }
  const names = Object.keys(left);
  if (Array.isArray(left) !== Array.isArray(right) || names.length !== Object.keys(right).length)
    return false;
  const [a, b] = [left as Record<string, unknown>, right as Record<string, unknown>];
  return names.every((name) => name in b && isSame(a[name], b[name]));
}
