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
  expect((await shell.backwalk('run', shell.file('bad.jsonl', story('0x0d44103a')))).code).toBe(0);
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

  it('cannot judge a history before there is a guest', async () => {
    const { code, err } = await shell.backwalk('caps', 'audit', '@3');
    expect(code).toBe(125);
    expect(err[0]).toContain('main@3: no guest has an SMMU there');
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

  it('matrix runs kernels against VMMs and names what proves each leak', { timeout: 120_000 }, async () => {
    const { out, code } = await shell.backwalk('caps', 'matrix');
    expect(code).toBe(0);
    expect(out.find((line) => line.startsWith('new kernel, forwards'))).toMatch(
      /leak, told 1 +leak, told 1$/,
    );
    expect(out.join('\n')).toMatch(/^IDR0.BTM\/old-raw\/forwards@\d+ {2}leak/m);
    for (const line of out) expect(line.length).toBeLessThanOrEqual(80);
  });

  it.each([
    [['caps', 'adit'], 'expected audit, explain, log, at, diff, matrix'],
    [['caps', 'log', 'IDR0.BTN'], 'expected a field, as IDR0.BTM'],
    [['caps', 'explain'], 'expected a field'],
    [['caps', 'diff'], 'expected two positions'],
    [['caps', 'audit', '--csv', '/nowhere/caps.csv'], '--csv: cannot write'],
  ])('%j is refused with what was expected', async (args, text) => {
    const { code, err } = await shell.backwalk(...args);
    expect(code).toBe(2);
    expect(err.join('\n')).toContain(text);
  });
});
