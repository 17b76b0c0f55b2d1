/** `cost` and `help prices` as people and programs see them, and what they say to a wrong price list or VMM. */
import { beforeAll, describe, expect, it } from 'vitest';
import { unmapStory } from '../../support/cost-story.ts';
import { openShell } from './backwalk.ts';

const shell = openShell();
const jsonl = unmapStory({ n: 3 })
  .map(({ raw }) => JSON.stringify(raw))
  .join('\n');
const scenario = shell.file('story.jsonl', jsonl);

beforeAll(async () => {
  expect((await shell.backwalk('run', scenario)).code).toBe(0);
});

type Json = Readonly<Record<string, never>>;
const jsonOf = async (...args: readonly string[]): Promise<readonly Json[]> =>
  (await shell.backwalk(...args, '--json')).out.map((line) => JSON.parse(line) as Json);

/** Where the guest's unmap stands. */
async function unmapAt(): Promise<number> {
  const [line] = await jsonOf('log', '--type', 'guest.unmap');
  return Number(line?.['seq']);
}

describe('cost', () => {
  it('prints what one unmap cost, each line with a position, in 80 columns', async () => {
    const seq = await unmapAt();
    const { out, code } = await shell.backwalk('cost', `@${seq - 1}..`);
    expect(code).toBe(0);
    expect(out.map((line) => line.replace(/^main@\d+/, 'main@N').replace(/ +/g, ' '))).toEqual([
      'main@N command.guest vm0.smmu CMD_TLBI_NH_VA 1 300 ns',
      'main@N command.host smmu0 CMD_TLBI_NH_VA 1 100 ns',
      'main@N copy.ioctl vm0 IOMMU_HWPT_INVALIDATE 48 8 ns',
      'main@N copy.queue vm0.smmu commands 32 5 ns',
      'main@N exit.read vm0 CMDQ_CONS 1 5.00 us',
      'main@N exit.write vm0 CMDQ_PROD 1 5.00 us',
      'main@N ioctl vm0 IOMMU_HWPT_INVALIDATE 1 2.00 us',
      'main@N sync.guest vm0.smmu CMD_SYNC 1 300 ns',
      'main@N sync.host smmu0 CMD_SYNC 1 1.00 us',
      'main@N 2 exits, 1 ioctls, 1 commands, 1 waits; 13.7 us (8.23 us to 27.6 us)',
    ]);
  });

  it.each(['kind', 'actor', 'op'])(
    '--by %s fits 80 columns and each line can be given to the next command',
    async (view) => {
      const { out } = await shell.backwalk('cost', '--by', view);
      for (const line of out) {
        expect(line.length).toBeLessThanOrEqual(80);
        expect(line).toMatch(/^main@\d+ /);
      }
      expect(out.length).toBeGreaterThan(4);
    },
  );

  it('by operation: a map costs nothing, an unmap is what was counted', async () => {
    const rows = await jsonOf('cost', '--by', 'op');
    expect(rows.find((row) => row['what'] === 'guest.map')).toMatchObject({
      about: 'vm0',
      times: 1,
      counts: {},
    });
    expect(rows.find((row) => row['what'] === 'guest.unmap')).toMatchObject({
      counts: { 'exit.write': 1, 'exit.read': 1, ioctl: 1, 'command.host': 1, 'sync.host': 1 },
    });
    expect(rows.at(-1)).toMatchObject({ summary: { head: expect.stringMatching(/^main@/) } });
  });

  it('--each tells every operation in order, and together they cost what the sum says', async () => {
    const rows = await jsonOf('cost', '--each');
    const told = rows.slice(0, -1) as unknown as readonly { position: string; ns: { typical: number } }[];
    const seqs = told.map(({ position }) => Number(position.slice(5)));
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    const sum = told.reduce((all, { ns }) => all + ns.typical, 0);
    const [{ summary }] = rows.slice(-1) as unknown as [{ summary: { ns: { typical: number } } }];
    expect(sum).toBeCloseTo(summary.ns.typical, 3);
  });

  it('takes prices of a file in place of its own, and leaves the others', async () => {
    const prices = shell.file(
      'prices.jsonl',
      [
        '// measured on a board',
        '{"what":"exit.write","typical":1000,"basis":"measured","source":"a board"}',
        '{"what":"ioctl","low":1,"typical":2,"high":3,"basis":"measured","source":"a board"}',
      ].join('\n'),
    );
    const seq = await unmapAt();
    const rows = await jsonOf('cost', `@${seq - 1}..`, '--prices', prices);
    expect(rows.find((row) => row['kind'] === 'exit.write')).toMatchObject({
      ns: { low: 1000, typical: 1000, high: 1000 },
    });
    expect(rows.find((row) => row['kind'] === 'ioctl')).toMatchObject({
      ns: { low: 1, typical: 2, high: 3 },
    });
    expect(rows.find((row) => row['kind'] === 'exit.read')).toMatchObject({ ns: { typical: 5000 } });
  });

  it.each([
    [
      '{"what":"exit.wite","typical":1,"basis":"assumed","source":"x"}',
      /:1: what: expected something that is counted .*found "exit.wite"/,
    ],
    [
      '\n{"what":"ioctl","typical":-1,"basis":"assumed","source":"x"}',
      /:2: typical: expected nanoseconds.*found -1/,
    ],
    [
      '{"what":"ioctl","typical":1,"basis":"guess","source":"x"}',
      /:1: basis: expected one of measured.*found "guess"/,
    ],
    ['{"what":"ioctl","typical":1,"low":2,"basis":"assumed","source":"x"}', /:1: typical: expected 2 to 1/],
    ['{"what":"ioctl","typical":1,"basis":"assumed"}', /:1: source: expected who says so, found nothing/],
    ['{"what":"ioctl","typicl":1,"basis":"assumed","source":"x"}', /:1: /],
    ['{"what":"ioctl"', /:1: expected a JSON object/],
    ['7', /:1: expected a JSON object, found 7/],
  ])('refuses the price row %s', async (text, message) => {
    const { code, err, out } = await shell.backwalk('cost', '--prices', shell.file('bad.jsonl', text));
    expect(code).toBe(2);
    expect(out).toEqual([]);
    expect(err.join(' ')).toMatch(message);
  });

  it.each([
    [['--by', 'colour'], /--by: expected one of kind, actor, op, found "colour"/],
    [['--vmm', 'qemu'], /--vmm: expected --compare/],
    [['--prices', '/nowhere/p.jsonl'], /--prices: cannot read/],
    [['--compare', scenario, '--vmm', 'qemu-acel'], /--vmm: expected one of .*found "qemu-acel"/],
    [['--compare', '/nowhere/s.jsonl'], /cannot read/],
  ])('refuses %j', async (args, message) => {
    const { code, err } = await shell.backwalk('cost', ...args);
    expect(code).toBe(2);
    expect(err.join(' ')).toMatch(message);
  });
});

describe('cost --compare', () => {
  it('puts VMMs side by side, with formulas, and names what a design refuses', async () => {
    const assigned = shell.file(
      'assigned.jsonl',
      jsonl.replace(
        '"endpoint":"nic0","streamId":8,"ats":false}',
        '"endpoint":"nic0","streamId":8,"kind":"assigned"}',
      ),
    );
    const { out, code } = await shell.backwalk(
      'cost',
      '--compare',
      assigned,
      '--vmm',
      'qemu-accel,openvmm,qemu',
    );
    expect(code).toBe(0);
    for (const line of out) expect(line.length).toBeLessThanOrEqual(80);
    const flat = out.map((line) => line.replace(/ +/g, ' '));
    expect(flat[0]).toBe(' qemu-accel openvmm qemu');
    const at = flat.findIndex((line) => line.startsWith('line 6 guest.unmap nic0'));
    expect(flat.slice(at + 1, at + 3).map((line) => line.split(' ').slice(0, 7).join(' '))).toEqual([
      'line 6 X exits 2 2 -',
      'line 6 I ioctls 1 1 -',
    ]);
    expect(flat).toContain('line 6 qemu-accel X = p + 1 + 2a = 2');
    expect(flat).toContain('line 6 openvmm I = p + a = 1');
    expect(flat.join(' ')).toMatch(/line 3 qemu refused: an emulated SMMUv3 has no MAP notifications/);
  });

  it('has the same as JSON: a line each, and a summary for each VMM', async () => {
    const rows = await jsonOf('cost', '--compare', scenario, '--vmm', 'qemu-accel,tlbi-on-map');
    const maps = rows.filter((row) => row['op'] === 'guest.map');
    expect(maps).toMatchObject([
      { vmm: 'qemu-accel', line: 5, counts: {}, formula: { n: 3, d: 1, design: 'nested-each' } },
      { vmm: 'tlbi-on-map', line: 5, counts: { ioctl: 6, 'exit.write': 4 }, formula: { design: 'shadow' } },
    ]);
    expect(rows.filter((row) => 'summary' in row)).toHaveLength(2);
  });

  it('refuses a line that is bad whatever the VMM', async () => {
    const bad = shell.file('bad-story.jsonl', `${jsonl.split('\n')[0]}\n{"op":"vm.crate","vm":"vm0"}\n`);
    const { code, err } = await shell.backwalk('cost', '--compare', bad);
    expect(code).toBe(2);
    expect(err.join(' ')).toMatch(/bad-story.jsonl:2: op: .*vm.crate/);
  });
});

describe('help prices', () => {
  it('lists every row with its source, and as lines that are a price list', async () => {
    const { out } = await shell.backwalk('help', 'prices');
    expect(out.join(' ')).toMatch(/exit\.notify .*assumed: order of magnitude/);
    const rows = (await shell.backwalk('help', 'prices', '--json')).out;
    const { code } = await shell.backwalk('cost', '--prices', shell.file('all.jsonl', rows.join('\n')));
    expect(code).toBe(0);
  });
});
