/**
 * Stories as tables of text: each row is one call of a process in the words of a scenario, and what is expected
 * of it. Columns: `step` says why, `call` is a file and a request (`iommu0 IOMMU_DESTROY`) or an op and its file
 * (`open iommu0`), `arg` its fields, `expect` the errno or `ok`, then fields of the answer: `length=0x1000`
 * must be equal, `out_ioas_id>ioas` is kept under a name. `$ioas` and `$ioas+0x1000` are what was kept.
 */
import { expect, it } from 'vitest';
import { type Host, host, type Outcome } from './kernel.ts';
import { table } from './tables.ts';

type Column = 'step' | 'call' | 'arg' | 'expect';
type Values = Record<string, unknown>;
type Kept = Record<string, string>;

/** Ops whose second word is not a file. */
const subject: Readonly<Record<string, string>> = { dma: 'endpoint', 'process.exit': 'process' };

/** Rows: a context with an IOAS, and memory of the process. */
export const alone = `
open                       | open iommu0                 |                        | ok
an IOAS                    | iommu0 IOMMU_IOAS_ALLOC     |                        | ok out_ioas_id>ioas
memory                     | mem.alloc                   | bytes=65536            | ok va>buf
`;
/** Rows: a device, bound, and attached to the IOAS. */
export const device = (name: string): string => `
a device                   | open vfio:${name}           |                        | ok
bound                      | vfio:${name} VFIO_DEVICE_BIND_IOMMUFD      | iommufd=iommu0 | ok out_devid>${name}
attached                   | vfio:${name} VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas    | ok pt_id>hwpt_${name}
`;
export const one = alone + device('nvme0');
export const two = one + device('nic0');

/** Where a story plays: fields of the machine line, of its `kernel`, and rows that go before. */
export interface Setting {
  readonly machine?: object;
  readonly kernel?: object;
  readonly before?: string;
}

/** A test: all rows of a story hold. */
export function story(name: string, rows: string, { machine, kernel, before = '' }: Setting = {}): void {
  it(name, () => {
    const results = play(stage(machine, kernel), `${before}\n${rows}`);
    expect(results.map(({ got }) => got)).toEqual(results.map(({ expected }) => expected));
  });
}

/** What a row came to: `expected` and `got` are the same text where the row holds. */
interface StepResult {
  readonly expected: string;
  readonly got: string;
}

/** A machine with a kernel, whose SMMU has everything; one endpoint has PASIDs. */
function stage(machine: object = {}, kernel: object = {}): Host {
  return host(kernel, {
    ram: [{ base: '0x0', size: '0x100000000' }],
    smmus: [{ name: 'smmu0', profile: 'everything' }],
    endpoints: [
      { name: 'nvme0', streamId: 16, ssidBits: 8 },
      { name: 'nic0', streamId: 17 },
    ],
    ...machine,
  });
}

/** Runs the rows, one after the other. */
function play(of: Host, rows: string): StepResult[] {
  const kept: Kept = {};
  return table<Column>(`step | call | arg | expect\n${rows}`).map(({ step, call, arg, expect: wanted }) => {
    const outcome = of.line(lineOf(call, arg, kept));
    const [first = '', ...fields] = wanted.split(/\s+/);
    const errno = outcome['errno'] ?? (outcome['pending'] === true ? 'pending' : 'ok');
    const got = fields.map((each) => answered(each, outcome, kept));
    return {
      expected: [`${step}:`, first, ...fields].join(' '),
      got: [`${step}:`, String(errno), ...got].join(' '),
    };
  });
}

function lineOf(call: string, arg: string, kept: Kept): Values & { readonly op: string } {
  const [who = '', what] = call.split(/\s+/);
  if (what !== undefined && /^(IOMMU_|VFIO_|0x)/.test(what)) {
    const request = what.startsWith('0x') ? { code: Number(what) } : { name: what };
    const { process, ...values } = valuesIn(arg, kept);
    const argument = 'number' in values ? { arg: values['number'] } : argumentOf(what, values);
    return { op: 'ioctl', fd: meant(who, kept), ...request, ...argument, ...(process ? { process } : {}) };
  }
  const named = what === undefined ? {} : { [subject[who] ?? 'fd']: meant(what, kept) };
  return { op: who, ...named, ...valuesIn(arg, kept) };
}

function argumentOf(request: string, values: Values): object {
  return request.startsWith('0x') ? values : { arg: values };
}

function valuesIn(text: string, kept: Kept): Values {
  const parts = text.split(/\s+/).filter((part) => part !== '');
  return Object.fromEntries(
    parts.map((part) => {
      const [name = '', value = ''] = part.split('=');
      return [name, name === 'hex' || name === 'tail' ? value : meant(value, kept)];
    }),
  );
}

/** `$name+0x10`, `bytes:00ff`, `ranges:0x1000-0x1fff,...`, `true`, a number with a sign, or the text itself. */
function meant(text: string, kept: Kept): unknown {
  if (text === 'true') return true;
  if (text.startsWith('bytes:')) return { bytes: text.slice('bytes:'.length) };
  if (text.startsWith('ranges:')) return rangesOf(text.slice('ranges:'.length));
  const [, name, more] = /^\$([a-z0-9_]+)([+-]\w+)?$/i.exec(text) ?? [];
  if (name === undefined) return /^-?[0-9]+$/.test(text) ? Number(text) : text;
  const value = kept[name];
  if (value === undefined) throw new Error(`nothing kept as ${name}`);
  if (more === undefined) return value;
  const by = BigInt(more.slice(1));
  return `0x${(BigInt(value) + (more.startsWith('-') ? -by : by)).toString(16)}`;
}

function rangesOf(text: string): object {
  const values = text.split(',').map((each) => {
    const [start, last] = each.split('-');
    return { start, last };
  });
  return { array: 'iommu_iova_range', values };
}

/** The field of an answer as `name=value`; `name>kept` keeps it. */
function answered(field: string, outcome: Outcome, kept: Kept): string {
  const [name = '', to] = field.split('>');
  if (to !== undefined) {
    kept[to] = String(lookUp(outcome, name));
    return field;
  }
  const [path = '', raw = ''] = field.split('=');
  const expected = raw.startsWith('$') ? String(meant(raw, kept)) : raw;
  const value = lookUp(outcome, path);
  return `${path}=${same(value, expected) ? raw : String(value)}`;
}

function lookUp(outcome: Outcome, name: string): unknown {
  const { out = {}, buffers = {} } = outcome as { out?: Outcome; buffers?: Outcome };
  return out[name] !== undefined && !(name in buffers) ? out[name] : (buffers[name] ?? outcome[name]);
}

function same(value: unknown, expected: string): boolean {
  if (String(value) === expected) return true;
  const number = /^(0x[0-9a-f]+|[0-9]+)$/i;
  return number.test(String(value)) && number.test(expected) && BigInt(String(value)) === BigInt(expected);
}
