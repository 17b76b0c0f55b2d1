/** Paths into the kernel: objects of a context by id, as they stand, and what changed one last. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openShell } from '../../adapters/cli/backwalk.ts';

const folder = mkdtempSync(join(tmpdir(), 'backwalk-kernel-paths-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const STORY = `
{"op":"machine","smmus":[{"profile":"everything"}],"endpoints":[{"name":"nvme0","streamId":16}],"kernel":{"profile":"linux-7.3"}}
{"op":"open","fd":"iommu0"}
{"op":"ioctl","fd":"iommu0","name":"IOMMU_IOAS_ALLOC"}
{"op":"ioctl","fd":"iommu0","name":"IOMMU_IOAS_ALLOC"}
{"op":"ioctl","fd":"iommu0","name":"IOMMU_DESTROY","arg":{"id":1}}
{"op":"check","path":"iommu0.objects","size":1}
{"op":"check","path":"iommu0.objects[2].kind","equals":"ioas"}
{"op":"check","path":"iommu0.objects[1]","present":false}
{"op":"check","path":"kernel.profile","equals":"linux-7.3"}
{"op":"check","path":"kernel.tasks","size":0}
`;

it('names objects by their ids', async () => {
  const file = join(folder, 'story.jsonl');
  writeFileSync(file, STORY);
  const shell = openShell();
  const ran = await shell.backwalk('run', file, '--json');
  const summary = JSON.parse(ran.out.at(-1) ?? '{}') as { summary: { checksFailed: number } };
  expect(summary.summary.checksFailed).toBe(0);
  const shown = await shell.backwalk('show', 'main', 'iommu0.objects');
  expect(shown.out.join('\n')).toMatch(/iommu0\.objects\[2\] +ioas/);
  const last = await shell.backwalk('last', 'iommu0.objects');
  expect(last.out.join('\n')).toContain('object.removed');
});
