/** A name that is not known is answered with those that are, also where there is none at all. */
import { expect, it } from 'vitest';
import { unknownName } from '../../../adapters/scenario/parse.ts';

it.each([
  [['nic0', 'accelerator'], 'expected one of nic0, accelerator, found "nix0" (did you mean nic0?)'],
  [[], 'expected one that was made before, found "nix0", and none was'],
] as const)('with %j', (known, message) => {
  expect(unknownName('nix0', known)).toBe(message);
});
