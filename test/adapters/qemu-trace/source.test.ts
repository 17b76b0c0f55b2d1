/** Files that are not whole, not text or not traces: what can be read is imported, the rest is said clearly. */
import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { summaryLines } from '../../../adapters/qemu-trace/summary.ts';
import { captures, captureText, importFile, importText, withFile } from '../../support/import-trace.ts';

describe('reading a trace', () => {
  it('imports what stands before the end of a truncated gzip file, and says so', async () => {
    const whole = readFileSync(captures.clean);
    const { result } = await withFile('cut.gz', whole.subarray(0, 30_000), (file) => importFile(file));
    expect(result.damage).toBe('the file ends early');
    expect(result.lines).toBeGreaterThan(2000);
    expect(result.lines).toBeLessThan(6071);
    expect(result.broken).toBe(0);
    expect(Object.values(result.differences)).toEqual([0, 0, 0, 0, 0]);
    expect(summaryLines(result).join('\n')).toContain('incomplete: the file ends early');
  });

  it('imports what stands before a damaged block', async () => {
    const bytes = Buffer.from(readFileSync(captures.clean));
    bytes.fill(0xa5, 40_000, 40_100);
    const { result } = await withFile('bad.gz', bytes, (file) => importFile(file));
    expect(result.damage).toMatch(/damaged/);
    expect(result.lines).toBeGreaterThan(1000);
  });

  it('reads plain text, without prefixes, and two gzip members as one', async () => {
    const text = captureText('faults');
    const plain = await importText(text.replace(/^\d+@[\d.]+:/gm, ''));
    expect(plain.result).toMatchObject({ lines: 673, compared: { fault: 10, eventRecord: 10 } });
    expect(Object.values(plain.result.differences)).toEqual([0, 0, 0, 0, 0]);
    const cut = text.indexOf('\n', 20_000) + 1;
    const members = Buffer.concat([gzipSync(text.slice(0, cut)), gzipSync(text.slice(cut))]);
    expect(gunzipSync(members).length).toBe(text.length);
    const joined = await withFile('two.gz', members, (file) => importFile(file));
    expect(joined.result).toMatchObject({ lines: 673 });
    expect(joined.result.damage).toBeUndefined();
  });

  it('takes a last line without its newline', async () => {
    const { result } = await importText(captureText('stale').trimEnd());
    expect(result.lines).toBe(570);
  });

  it('counts unknown and garbled lines, shows the first of them, and goes on', async () => {
    const lines = captureText('stale').split('\n');
    lines.splice(20, 0, 'virtio_queue_notify vdev 0x1', 'cap_store pa=0x12 size=');
    lines.splice(300, 0, '\x01\x02\x03 garbage \xff');
    const { result } = await importText(lines.join('\n'));
    expect(result).toMatchObject({ lines: 573, unknown: 3, broken: 1 });
    expect(result.problems.map(({ line }) => line)).toEqual([21, 22, 301]);
    expect(Object.values(result.differences)).toEqual([0, 0, 0, 0, 0]);
    expect(summaryLines(result).every((line) => line.length <= 80)).toBe(true);
  });

  // name, content, message
  it.each([
    ['an empty file', '', /the file is empty/],
    ['binary', Buffer.from([1, 2, 0, 4, 5, 0, 7]), /the file is binary/],
    ['other text', 'hello\nworld\n', /none of 2 lines is understood; line 1: hello/],
    ['a gzip header alone', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]), /the file ends early/],
    ['gzip of nothing', gzipSync(''), /no lines/],
    ['a trace without memory', 'smmuv3_read_mmio addr: 0x0 val:0xd40101a size: 0x4(0)\n', /--observe/],
  ])('refuses %s with a clear message', async (_, content, message) => {
    await expect(withFile('f', content, (file) => importFile(file))).rejects.toThrow(message);
    await expect(withFile('f', content, (file) => importFile(file))).rejects.toMatchObject({
      name: 'InputError',
    });
  });

  it('refuses a file that is not there', async () => {
    await expect(importFile('/nowhere/x.trace')).rejects.toThrow(/no such file/);
  });
});
