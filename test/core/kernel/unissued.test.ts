/**
 * Wants to show: an answer that counts commands as handled which were never issued says so in the log (B30); one that
 * counts none of them does not. How: batches with a bad command, under both batch rules.
 */
import { expect, it } from 'vitest';
import { named, nestedWorld } from '../../support/nesting.ts';

const ASID = (asid: number): string => `110000000000${asid.toString(16).padStart(4, '0')}`.padEnd(32, '0');
const BAD = '20'.padEnd(32, '0');

it.each([
  // rule, commands, entry_num, those that `commands.unissued` names
  ['per-block', [ASID(0x100), ASID(0x200), BAD], 2, 2],
  ['per-block', [BAD, ASID(0x100)], 0, 0],
  ['per-block', [ASID(0x100)], 1, 0],
  ['validate-first', [ASID(0x100), ASID(0x200), BAD], 0, 0],
] as const)('%s, commands %j: entry_num %i, unissued %i', (rule, commands, handled, count) => {
  const of = nestedWorld({ switches: { batchRule: rule } });
  of.look();
  const arg = `hwpt_id=viommu data_type=1 entry_len=16 entry_num=${commands.length} data_uptr=hex:${commands.join('')}`;
  const { out } = of.ioctl('IOMMU_HWPT_INVALIDATE', named(arg, of.names));
  expect((out as { entry_num: number }).entry_num).toBe(handled);
  const said = of.look().filter((entry) => entry.type === 'commands.unissued');
  const words = said.flatMap((entry) => (entry.type === 'commands.unissued' ? entry.commands : []));
  expect(words).toHaveLength(count);
  for (const entry of said) expect(entry).toMatchObject({ name: 'IOMMU_HWPT_INVALIDATE', smmu: 'smmu0' });
  // As they would have gone out: with the VMID of the vIOMMU.
  for (const [lo] of words) expect((lo >> 32n) & 0xffffn).not.toBe(0n);
});
