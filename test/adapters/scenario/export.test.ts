/**
 * Lines out of a history: the stories of the scenario files come back in the words of people, and what has no
 * op of its own comes as a raw `stimulus`, which refuses what no log can hold.
 */
import { createReadStream, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openPlayer, type Player } from '../../../adapters/scenario/played.ts';
import { jsonLines } from '../../../adapters/scenario/reader.ts';
import type { ScenarioLine } from '../../../adapters/scenario/scenario.ts';
import type { Entry } from '../../../core/event.ts';
import { logText } from '../../support/content.ts';
import { entriesOfFile, exported, unlined } from '../../support/exported.ts';
import { boot, machine } from '../story.ts';

const FOLDER = 'test/scenario';
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.jsonl'));

async function played(file: string): Promise<{ player: Player; entries: readonly Entry[] }> {
  const entries: Entry[] = [];
  const player = openPlayer((step) => entries.push(...step));
  for await (const { lines } of jsonLines(createReadStream(file), file))
    for (const { place, read } of lines) player.play(read(), place);
  return { player, entries };
}

describe.each(files)('%s', (file) => {
  it('runs again from its exported lines, none of them raw', async () => {
    const { player, entries } = await played(`${FOLDER}/${file}`);
    if (player.machine === undefined) throw new Error('a story has a machine');
    const { lines, problem } = exported(player.machine, entries);
    expect(problem).toBeUndefined();
    // As text: a page of zeros is long to compare element by element.
    expect(logText(entriesOfFile(lines) as readonly Entry[])).toBe(
      logText(unlined(entries) as readonly Entry[]),
    );
    expect(lines.filter(({ op }) => op === 'stimulus')).toEqual([]);
  });
});

/** Lines of ops that the stories do not use, each as it must come back. */
// biome-ignore format: a table
const others: readonly ScenarioLine[] = [
  { op: 'mem.read', pa: '0x40000000', bytes: 8 },
  { op: 'mem.write', pa: '0x40000001', hex: '0102' },
  { op: 'mmio.write', smmu: 'smmu0', offset: '0x7c', value: '0x5' },
  { op: 'endpoint.set', endpoint: 'nvme0', reset: true, ats: true, silent: false },
  { op: 'command.issue', smmu: 'smmu0', command: 'CMD_TLBI_NH_VA', fields: { ASID: 7, Leaf: true, Address: '0x1000' } },
  { op: 'cpu.tlbi', operation: 'VAE1', va: '0x0', asid: 7, vmid: 0 },
  { op: 'pri.request', endpoint: 'nvme0', iova: '0x1000', access: 'read', prgIndex: 3, last: true },
  { op: 'dma', endpoint: 'nvme0', iova: '0x1000', bytes: 2, access: 'write', hex: 'abcd', actor: 'nvme', cpu: 3, pc: '0xffff800000001000' },
  { op: 'stimulus', type: 'note', fields: { kind: 'remark', text: { $text: '2478' } } },
  { op: 'stimulus', type: 'dma', fields: { endpoint: 'nvme0', iova: '0x1000', size: 8, access: 'read', assumed: 'size' } },
  { op: 'stimulus', type: 'observe', fields: { events: [{ type: 'memory.written', pa: 0x4000_0000, value: { $u64: '0x5' }, old: { $u64: '0x0' } }] } },
];

describe('lines of other ops', () => {
  it.each(others)('%o comes back', (line) => {
    const entries: Entry[] = [];
    const player = openPlayer((step) => entries.push(...step));
    for (const each of [machine, ...boot(), line]) player.play(each, { file: 'test' });
    if (player.machine === undefined) throw new Error('a story has a machine');
    const { lines, problem } = exported(player.machine, entries);
    expect(problem).toBeUndefined();
    expect(lines.at(-1)).toEqual(line);
    expect(entriesOfFile(lines)).toEqual(unlined(entries));
  });
});

describe('a raw stimulus', () => {
  // biome-ignore format: a table
  const rubbish: readonly (readonly [fields: object, message: string])[] = [
    [{ type: 'nte' },                                            'type: expected a stimulus such as observe or note (did you mean note?), found "nte"'],
    [{ type: 'note' },                                           'fields.kind: expected a text, found nothing'],
    [{ type: 'note', fields: { kind: 'a', text: 'b', more: 1 } }, 'fields: expected kind, text, found "more"'],
    [{ type: 'mem.write', fields: { pa: '0x0', bytes: 'abc' } }, 'fields.bytes: expected bytes as hexadecimal digits, found "abc"'],
    [{ type: 'mem.read', fields: { pa: 0, size: 2 ** 40 } },     'fields.size: expected at most 16777216 bytes, found 1099511627776'],
    [{ type: 'observe', fields: { events: 3 } },                 'fields.events: expected a list of events, found 3'],
    [{ type: 'observe', fields: { events: [{ type: 'nope' }] } }, 'fields.events: expected events of the log, found "nope"'],
    [{ type: 'observe', fields: { events: [{ type: 'memory.written', pa: 0 }] } }, 'fields.events: expected memory.written with value, a value of at most 64 bits, found nothing'],
    [{ type: 'endpoint.set', fields: { endpoint: 'nvme0', set: { ats: 1 } } }, 'fields.set: expected {NAME: true or false}, found {"ats":1}'],
    [{ type: 'open', fields: { fd: 'iommu0' } },                 'stimulus open: expected a machine with a kernel ({"op":"machine","kernel":{}}), found one without'],
  ];
  it.each(rubbish)('%o is refused', (fields, message) => {
    const player = openPlayer(() => {});
    player.play(machine, { file: 'test' });
    expect(() => player.play({ op: 'stimulus', ...fields }, { file: 'test', line: 2 })).toThrow(message);
  });
});
