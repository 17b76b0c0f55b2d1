/** The outside is wrong: a store that cannot be opened, read or written. The message says what and where. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
}

/** What an unknown thrown value says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
