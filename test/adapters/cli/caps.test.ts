/** `caps` as people and programs see it, on a VM whose VMM tells the guest of BTM and on its good twin. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { fieldNames } from '../../../projections/caps/fields.ts';
import { openShell } from './backwalk.ts';

const story = (idr0: string): string =>
  [
    {
      op: 'machine',
      ram: [{ base: '0x40000000', size: '0x40000000' }],
      smmus: [{ name: 'smmu0', profile: 'everything' }],
      endpoints: [{ name: 'nic0', streamId: 8 }],
      kernel: {},
    },
    { op: 'vm.create', vm: 'vm0', idr: { IDR0: idr0 }, vmid: 7 },
    { op: 'label', name: 'made' },
    { op: 'vm.plug', vm: 'vm0', endpoint: 'nic0' },
    { op: 'guest.boot', vm: 'vm0' },
    { op: 'cpu.tlbi', operation: 'VMALLE1', vmid: 7 },
  ]
    .map((line) => JSON.stringify(line))
    .join('\n');

const shell = openShell();
const good = openShell();

beforeAll(async () => {
  expect((await shell.backwalk('run', shell.file('bad.jsonl', story('0x0d44103a')))).code).toBe(1);
  expect((await good.backwalk('run', good.file('good.jsonl', story('0x0d44101a')))).code).toBe(0);
});

type Json = Readonly<Record<string, never>>;
const jsonOf = async (...args: readonly string[]): Promise<readonly Json[]> =>
  (await shell.backwalk(...args, '--json')).out.map((line) => JSON.parse(line) as Json);

function fits(lines: readonly string[]): void {
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) {
    expect(line.length).toBeLessThanOrEqual(80);
    expect(line).toMatch(/^main@\d+ /);
  }
}

describe('caps audit', () => {
  it('names the leak with its proof and exits 1', async () => {
    const { out, code } = await shell.backwalk('caps', 'audit');
    expect(code).toBe(1);
    fits(out);
    expect(out[0]).toMatch(/^main@\d+ {2}leak +IDR0.BTM +vm0.smmu {2}guest told 1/);
    expect(out.at(-1)).toMatch(/^main@\d+ {2}1 leak, 0 mismatch, 0 refused, 0 unknown, 5 lost/);
  });

  it('links the findings of the leak, and --json has their positions', async () => {
    const { out } = await shell.backwalk('caps', 'audit');
    expect(out.join('\n')).toMatch(/^main@\d+ {4}I10 {2}promise-not-kept: IDR0.BTM=1 of vm0.smmu$/m);
    const [row] = await jsonOf('caps', 'audit');
    const [finding] = (row?.['findings'] ?? []) as unknown as readonly Json[];
    const checked = await jsonOf('check', '--rule', 'I10');
    expect(finding).toMatchObject({ rule: 'I10', position: checked[0]?.['position'] });
    expect(checked[0]).toMatchObject({ capability: { smmu: 'vm0.smmu', field: 'IDR0.BTM' } });
  });

  it('--history tells since when, --branches of every fork', async () => {
    const { out, code } = await shell.backwalk('caps', 'audit', '--history');
    expect(code).toBe(1);
    expect(out.join(' ').replaceAll(/ main@\d+ +/g, ' ')).toMatch(/^main@\d+ {2}leak +IDR0.BTM .*to the end/);
    expect((await good.backwalk('caps', 'audit', '--history')).code).toBe(0);
    const forked = openShell();
    await forked.backwalk('run', forked.file('bad.jsonl', story('0x0d44103a')));
    await forked.backwalk('fork', 'early', '@{made}');
    const all = await forked.backwalk('caps', 'audit', '--branches');
    expect(all.code).toBe(1);
    expect(
      all.out.filter((line) => /leak, 0 mismatch/.test(line)).map((line) => line.replace(/@\d+/, '')),
    ).toEqual(['main  1 leak, 0 mismatch, 0 refused', 'early  0 leak, 0 mismatch, 0 refused']);
  });

  it('is clean on the good twin', async () => {
    const { out, code } = await good.backwalk('caps', 'audit');
    expect(code).toBe(0);
    expect(out.at(-1)).toContain('0 leak, 0 mismatch');
  });

  it('--all tells of every field, --json too, and --csv writes them', async () => {
    const all = await shell.backwalk('caps', 'audit', '--all', '--csv', `${shell.folder}/caps.csv`);
    fits(all.out);
    for (const field of fieldNames) expect(all.out.join(' ')).toContain(field);
    const csv = readFileSync(`${shell.folder}/caps.csv`, 'utf8').trimEnd().split('\r\n');
    expect(csv).toHaveLength(fieldNames.length + 1);
    expect(csv[0]).toMatch(/^position,verdict,field,/);
    expect((await jsonOf('caps', 'audit')).map(({ field }) => field).sort()).toEqual([...fieldNames].sort());
  });

  it("before there is a VM it is the host's own driver that relies on the SMMU", async () => {
    const { code, out } = await shell.backwalk('caps', 'audit', '@3');
    expect(code).toBe(0);
    expect(out.at(-1)).toContain('main@3  0 leak, 0 mismatch');
  });

  it('cannot judge a history whose guest has no SMMU', async () => {
    const none = openShell();
    await none.backwalk('run', 'test/scenario/good-vm-virtio-iommu.jsonl');
    const { code, err } = await none.backwalk('caps', 'audit');
    expect(code).toBe(125);
    expect(err[0]).toMatch(/main@\d+: no guest has an SMMU there/);
  });
});

describe('the other questions', () => {
  it('explain gives the steps of the analysis, their source, and the cells', async () => {
    const { out, code } = await shell.backwalk('caps', 'explain', 'idr0.btm');
    expect(code).toBe(0);
    fits(out);
    const text = out.join('\n');
    for (const part of ['step 1', 'stop', 'outcome', 'iommufd.h', 'hardware 1', 'guest    1', 'leak'])
      expect(text).toContain(part);
  });

  it('log tells of every change with its cause', async () => {
    fits((await shell.backwalk('caps', 'log', 'IDR0.BTM')).out);
    const changes = await jsonOf('caps', 'log', 'IDR0.BTM');
    expect(changes.map(({ column }) => column)).toEqual([
      // Of the host's own driver.
      'enabled',
      'decision',
      'guest',
      'hardware',
      'driver',
      'decision',
      'report',
      'enabled',
      'used',
      'used',
    ]);
    expect(changes.at(-1)).toMatchObject({ after: 'failed: smmu0: CR2.PTM=1', type: 'broadcast.received' });
  });

  it('at gives the ledger of a moment, and one field with all of its cells', async () => {
    const { out } = await shell.backwalk('caps', 'at', '@{made}');
    fits(out);
    expect(out).toHaveLength(fieldNames.length);
    const one = await shell.backwalk('caps', 'at', '@', 'IDR3.RIL');
    fits(one.out);
    expect(one.out[0]).toContain('hw=1 report=1 vmm=require(4) guest=1');
  });

  it('diff gives what changed between two moments and exits 1, 0 where nothing did', async () => {
    const { out, code } = await shell.backwalk('caps', 'diff', '@{made}', '@');
    expect(code).toBe(1);
    fits(out);
    expect(out.some((line) => line.includes('IDR0.BTM') && line.includes('report - -> 1'))).toBe(true);
    expect((await shell.backwalk('caps', 'diff', '@', '@')).code).toBe(0);
  });

  it('diff of two profiles gives what differs between their runs', async () => {
    const { out, code } = await shell.backwalk('caps', 'diff', 'qemu-accel', 'openvmm');
    expect(code).toBe(1);
    expect(out.join('\n')).toMatch(/^openvmm@\d+ {2}IDR3.RIL +vm0.smmu {2}guest 1 -> 0$/m);
    for (const line of out) expect(line.length).toBeLessThanOrEqual(80);
    const kernels = await shell.backwalk('caps', 'diff', 'linux-7.3', 'v4-2024-11-sanitised');
    expect(kernels.out.join('\n')).toMatch(/IDR0.BTM +vm0.smmu {2}report 1 -> 0/);
    expect((await shell.backwalk('caps', 'diff', 'everything', 'everything')).code).toBe(0);
  });

  it('log, at and explain know bits at which no field is', async () => {
    const future = openShell();
    const lines = story('0x0d44101a').replace(
      '"profile":"everything"',
      '"profile":"everything","idr":{"IDR3":"0x4007714"}',
    );
    const ran = await future.backwalk('run', future.file('future.jsonl', lines));
    expect(ran.code).toBe(0);
    const audit = await future.backwalk('caps', 'audit');
    expect(audit.out.join('\n')).toMatch(
      /^main@\d+ {2}unknown {2}IDR3\[26\] +vm0.smmu {2}no field is known there;/m,
    );
    expect(audit.out.join(' ').replaceAll(/ main@\d+ +/g, ' ')).toContain(
      'hardware 1, reported 1, guest told 0',
    );
    const explained = await future.backwalk('caps', 'explain', 'IDR3[26]');
    expect(explained.out[0]).toMatch(/IDR3\[26\] {2}no field is known there/);
    expect(explained.out.join('\n')).toContain('report   1');
  });

  it('explain goes to the end where the kernel serves the field and the VMM asked for it', async () => {
    const linked = openShell();
    await linked.backwalk('run', 'test/scenario/good-vm-broadcast-linked.jsonl');
    const { out } = await linked.backwalk('caps', 'explain', 'IDR0.BTM');
    const text = out.join('\n');
    for (const part of ['(vbtm)', 'step 6', 'a guest may be told', 'decision opt-in', 'ok '])
      expect(text).toContain(part);
    expect((await linked.backwalk('caps', 'audit')).code).toBe(0);
  });

  it('matrix runs kernels against VMMs and names what proves each leak', { timeout: 120_000 }, async () => {
    const { out, code } = await shell.backwalk('caps', 'matrix', 'features');
    expect(code).toBe(0);
    expect(out.find((line) => line.startsWith('new kernel, forwards'))).toMatch(
      /leak, told 1 +leak, told 1$/,
    );
    expect(out.join('\n')).toMatch(/^IDR0.BTM\/old-raw\/forwards@\d+ {2}leak/m);
    expect(out.join('\n')).toMatch(/^IDR0.BTM\/old-raw\/forwards@\d+ {2}I3 {2}stale-translation-used/m);
    const leaks = await jsonOf('caps', 'matrix', 'leaks');
    expect(leaks[0]).toMatchObject({ story: 'ats-without-vdevice', verdict: 'leak', feature: 'IDR0.ATS' });
    expect(leaks[1]).toMatchObject({ story: 'ats-without-vdevice', twin: true, verdict: 'ok' });
    for (const line of out) expect(line.length).toBeLessThanOrEqual(80);
  });

  it.each([
    [['caps', 'adit'], 'expected audit, explain, log, at, diff, matrix'],
    [['caps', 'log', 'IDR0.BTN'], 'expected a field, as IDR0.BTM'],
    [['caps', 'explain'], 'expected a field'],
    [['caps', 'diff'], 'expected two positions or profiles'],
    [
      ['caps', 'diff', 'qemu-accel', 'mmu-600'],
      'expected two profiles of a kind, or two positions, found qemu-accel (VMM) and mmu-600 (hardware)',
    ],
    [['caps', 'diff', 'qemu-accel'], 'found qemu-accel (VMM) and nothing'],
    [['caps', 'audit', '--history', '--all'], '--all: expected without --history and --branches'],
    [['caps', 'audit', '--branches', '@3'], '--branches: expected no position, found "@3"'],
    [
      ['caps', 'audit', '--policy', 'basline'],
      '--policy: expected a file, or one of baseline, vmm-masks, kernel-sanitises, found "basline" (did you mean',
    ],
    [['caps', 'explain', 'IDR3[40]'], 'expected a field, as IDR0.BTM'],
    [['caps', 'matrix', 'BTM'], 'caps matrix: expected features, leaks, profiles or nothing, found "BTM"'],
    [['caps', 'audit', '--csv', '/nowhere/caps.csv'], '--csv: cannot write'],
  ])('%j is refused with what was expected', async (args, text) => {
    const { code, err } = await shell.backwalk(...args);
    expect(code).toBe(2);
    expect(err.join('\n')).toContain(text);
  });
});

describe('caps audit --policy', () => {
  const line = (rule: string, field: string, more: object = {}): string =>
    JSON.stringify({ rule, field, ...more, reason: 'the board says so' });
  const policy = (name: string, ...lines: readonly string[]): string => shell.file(name, lines.join('\n'));

  it('forbid and require are breaches with the line of the file', async () => {
    const file = policy(
      'p1.jsonl',
      line('forbid', 'IDR3.RIL'),
      '',
      line('require', 'IDR0.CD2L', { value: 1 }),
    );
    const { out, code } = await good.backwalk('caps', 'audit', '--policy', file);
    expect(code).toBe(1);
    fits(out);
    expect(out.join('\n')).toMatch(/forbid +IDR3.RIL +vm0.smmu {2}guest told 1;/);
    expect(out.join(' ')).toMatch(/require +IDR0.CD2L .*guest told 0, required 1/s);
    expect(out.join(' ').replaceAll(/ main@\d+ +/g, ' ')).toContain('p1.jsonl:3');
  });

  it('what is kept breaks nothing', async () => {
    const file = policy('p2.jsonl', line('forbid', 'IDR0.BTM'), line('require', 'IDR3.RIL'));
    expect((await good.backwalk('caps', 'audit', '--policy', file)).code).toBe(0);
  });

  it('policies with names: what the documentation lists, VMMs that mask, kernels that sanitise', async () => {
    const broken = async (name: string): Promise<readonly string[]> => {
      const { out, code } = await good.backwalk('caps', 'audit', '--policy', name);
      expect(code).toBe(1);
      fits(out);
      return out.flatMap((text) => /^main@\d+ {2}policy +(\S+)/.exec(text)?.[1] ?? []);
    };
    // QEMU reads OAS, which is not listed; it tells of HAD whatever the host has; the report is raw.
    expect(await broken('baseline')).toEqual(['IDR5.OAS']);
    expect(await broken('vmm-masks')).toEqual(['IDR3.HAD', 'IDR5.OAS']);
    expect(await broken('kernel-sanitises')).toEqual(
      expect.arrayContaining(['IDR0.BTM', 'IDR0.HTTU', 'IDR0.PRI']),
    );
  });

  it('allow lets a leak stand, and says so', async () => {
    const file = policy('p3.jsonl', line('allow', 'IDR0.BTM', { value: 1 }));
    const { code, err } = await shell.backwalk('caps', 'audit', '--policy', file);
    expect(code).toBe(0);
    expect(err.join('\n')).toContain('p3.jsonl:1: leak of IDR0.BTM allowed: the board says so');
  });

  it.each([
    ['forbid and require', [line('forbid', 'IDR3.RIL'), line('require', 'IDR3.RIL', { value: 1 })], true],
    ['forbid and allow', [line('allow', 'IDR3.RIL'), line('forbid', 'IDR3.RIL', { value: 1 })], true],
    [
      'two values required',
      [line('require', 'IDR5.OAS', { value: 4 }), line('require', 'IDR5.OAS', { value: 5 })],
      true,
    ],
    ['one value forbidden', [line('require', 'IDR5.OAS'), line('forbid', 'IDR5.OAS', { value: 6 })], false],
    ['0 forbidden', [line('require', 'IDR3.RIL'), line('forbid', 'IDR3.RIL', { value: 0 })], false],
    // Of one bit nothing is left.
    ['the other forbidden', [line('require', 'IDR3.RIL'), line('forbid', 'IDR3.RIL', { value: 1 })], true],
    [
      'both forbidden',
      [line('forbid', 'IDR3.RIL', { value: 0 }), line('forbid', 'IDR3.RIL', { value: 1 })],
      true,
    ],
    [
      'two of four forbidden',
      [line('forbid', 'IDR3.BBML', { value: 0 }), line('forbid', 'IDR3.BBML', { value: 1 })],
      false,
    ],
  ])('contradictions: %s', async (name, lines, contradicts) => {
    const file = policy(`${name.replaceAll(' ', '-')}.jsonl`, ...lines);
    const { code, err } = await good.backwalk('caps', 'audit', '--policy', file);
    expect(code).toBe(contradicts ? 2 : 0);
    if (contradicts)
      expect(err[0]).toMatch(
        /\.jsonl:2: field: expected (no contradiction of line 1|a value that is left for \S+ by lines 1) /,
      );
  });

  it.each([
    [line('forbids', 'IDR3.RIL'), 'rule: expected'],
    [line('forbid', 'IDR3.RIM'), 'field: expected a field, as IDR0.BTM (did you mean'],
    [line('forbid', 'IDR3.RIL', { value: -1 }), 'value: expected a whole number'],
    [
      line('forbid', 'IDR3.RIL', { value: 2 }),
      'value: expected a whole number from 0 to 1, as IDR3.RIL has them, found 2',
    ],
    ['{"rule":"forbid"', 'expected a JSON object'],
    ['[]', 'expected a JSON object, found'],
    [line('forbid', 'IDR3.RIL', { why: 'x' }), 'unknown field "why", expected rule, field, value, reason'],
    ['{"rule":"forbid","field":"IDR3.RIL"}', 'reason: expected'],
  ])('%s is refused', async (text, message) => {
    const { code, err } = await good.backwalk('caps', 'audit', '--policy', policy('wrong.jsonl', text));
    expect(code).toBe(2);
    expect(err[0]).toContain(`wrong.jsonl:1: ${message}`);
  });
});
