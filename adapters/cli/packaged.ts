/** Files that come with the program: captures, scenarios. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The file or folder `path` of the package that this program is of, compiled or not. */
export function packaged(path: string): string {
  let folder = fileURLToPath(new URL('.', import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = join(folder, '..');
  return join(folder, path);
}
