/**
 * The emulator's habits, one by one: a recorded run is edited so that it shows the habit as the emulator
 * would have printed it. Each is counted under its name; nothing is left as a difference, and the rest of
 * the run stays in step.
 */
import { describe, expect, it } from 'vitest';
import { deviations } from '../../../adapters/qemu-trace/deviations.ts';
import { summaryLines } from '../../../adapters/qemu-trace/summary.ts';
import { checkHistory } from '../../../projections/check.ts';
import { captureText, importText } from '../../support/import-trace.ts';

type Edit = readonly [from: string | RegExp, to: string];

function edited(...edits: readonly Edit[]): string {
  let text = captureText('stale');
  for (const [from, to] of edits) {
    const next = text.replaceAll(typeof from === 'string' ? from : new RegExp(from, 'g'), to);
    expect(next === text, `${from} is there`).toBe(false);
    text = next;
  }
  return text;
}

/** Lines put behind the first that matches. */
function after(text: string, match: RegExp, ...lines: readonly string[]): string {
  const all = text.split('\n');
  const at = all.findIndex((line) => match.test(line));
  expect(at).toBeGreaterThanOrEqual(0);
  all.splice(at + 1, 0, ...lines.map((line) => `32369@1795237859.700000:${line}`));
  return all.join('\n');
}

const write = (offset: string, value: string, size = 4): string =>
  `cap_mmio_write off=${offset} val=${value} size=${size} cpu=0 ic=1`;
const read = (offset: string, value: string): string =>
  `smmuv3_read_mmio addr: ${offset} val:${value} size: 0x4(0)`;
const enabled = /off=0x20 val=0xd/;
const console = /@@STEP test stale/;
const access = (sid: string): readonly string[] => [
  `smmuv3_config_cache_miss Config cache MISS for sid=${sid} (hits=0, misses=1, hit rate=0)`,
  `smmuv3_find_ste sid=${sid} features:0x1, sid_split:0x8`,
];

const prefetch = 'val=0x2000000001 kind=cmdq';
const tlbi = 'val=0xfffff701 kind=cmdq';
const tlbiEffect = 'addr=0xfffff000 tg=1 num_pages=0x1 ttl=3';

// name, the edited run
// biome-ignore format: a table
const cases: readonly (readonly [name: keyof typeof deviations, count: number, text: () => string])[] = [
  ['af-ignored', 1, () => edited(['48111fc7', '48111bc7'])],
  ['no-addr-size', 1, () => edited(['0x1e204c0003510', '0x1e200c0003510'], ['48111fc7', '148111fc7'], ['page address = 0x48111000', 'page address = 0x148111000'], ['translated=0x48111000', 'translated=0x148111000'])],
  ['aptable-not-cached', 3, () => edited(['0x48207003', '0x4000000048207003'])],
  ['unsupported-commands-accepted', 1, () => edited([prefetch, 'val=0x20 kind=cmdq'], ['SMMU_CMD_PREFETCH_CONFIG', 'SMMU_CMD_TLBI_EL2_ALL'])],
  ['ssec-prefetch', 1, () => edited([prefetch, 'val=0x2000000401 kind=cmdq'])],
  ['sync-cs3', 1, () => edited([/pa=0x5b7000e0 size=8 val=0xfc02046/, 'pa=0x5b7000e0 size=8 val=0xfc03046'])],
  ['tlbi-tg-no-ttl', 2, () => edited([tlbi, 'val=0xfffff401 kind=cmdq'], [tlbiEffect, tlbiEffect.replace('ttl=3', 'ttl=0')])],
  // The level is wrong, so a page need not go; the emulator scans, and takes it. It walks anew then.
  ['tlbi-scan-wide', 2, () => edited([tlbi, 'val=0xfffff601 kind=cmdq'], [tlbiEffect, tlbiEffect.replace('ttl=3', 'ttl=2')])],
  ['raw-readback', 1, () => after(captureText('stale'), /off=0x2c val=0x6/, read('0x2c', '0x6'))],
  ['unknown-at-reset', 1, () => after(captureText('stale'), /read_mmio addr: 0x18/, read('0x90', '0x13'))],
  ['ack-extra-bits', 1, () => after(captureText('stale'), console, write('0x20', '0x1d'), read('0x24', '0x1d'), write('0x20', '0xd'))],
  ['gbpa-missing', 1, () => after(captureText('stale'), enabled, write('0x44', '0x80100000'), read('0x44', '0x0'))],
  ['page1-alias', 1, () => edited(['cap_mmio_write off=0x28', 'cap_mmio_write off=0x10028'])],
  ['wide-access-lost', 1, () => after(captureText('stale'), enabled, write('0x20', '0x0', 8))],
  ['no-guards', 1, () => after(captureText('stale'), enabled, write('0x2c', '0x0'), read('0x2c', '0x0'))],
  ['id-block', 1, () => after(captureText('stale'), enabled, read('0xfe0', '0x84'))],
  ['recinvsid-ignored', 1, () => after(edited(['off=0x2c val=0x6', 'off=0x2c val=0x4'], ['addr: 0xa8 val:0x2', 'addr: 0xa8 val:0x3']), /end of stale/, ...access('0x1234'),
    'smmuv3_record_event SMMU_EVT_C_BAD_STREAMID sid=0x1234', 'smmuv3_trigger_irq irq=0', 'cap_devstore pa=0x5b800040 size=8 val=0x123400000002 kind=evtq old=0x0 by=smmu', read('0xa8', '0x3'))],
  ['failed-config-not-cached', 1, () => after(edited(['0x800:0x1,', ''], ['val=0x2000000003 kind=cmdq', 'val=0x2000000002 kind=cmdq'], ['SMMU_CMD_CFGI_STE\n', 'SMMU_CMD_PREFETCH_ADDR\n']), /cap_page pa=0x5b663000/,
    write('0x20', '0x9'), ...access('0x20'), 'smmuv3_get_ste STE addr: 0x5b660800', read('0x20', '0x9'), write('0x20', '0xd'))],
];

describe('known habits of the emulator', () => {
  it.each(cases)('%s', async (name, count, text) => {
    const { result, entries } = await importText(text());
    expect(result.examples).toEqual([]);
    expect(result.deviations[name]).toBe(count);
    const others = Object.keys(result.deviations).filter((each) => each !== name);
    expect(
      others.every((each) => ['fault-class-zero', 'fault-pieces', 'evtq-irq-every-record'].includes(each)),
    ).toBe(true);
    expect(entries.length).toBeGreaterThan(600);
    expect(summaryLines(result).some((line) => line.includes(`${name} [${deviations[name].spec}]`))).toBe(
      true,
    );
  });

  it('does not take for stale what the emulator walked for anew', async () => {
    const { entries, machine } = await importText(
      edited([tlbi, 'val=0xfffff601 kind=cmdq'], [tlbiEffect, tlbiEffect.replace('ttl=3', 'ttl=2')]),
    );
    const findings = checkHistory(entries, machine, 'main');
    const used = findings.filter(({ verdict }) => verdict === 'used-stale');
    expect(used.map(({ access }) => access?.line)).toEqual([481, 492]);
  });

  it('knows that the emulator has no name for a Secure command', async () => {
    const { result } = await importText(
      after(
        captureText('stale'),
        /end of stale/,
        'cap_store pa=0x5b700110 size=8 val=0x50 kind=cmdq old=0x0 cpu=0 pc=0x1 ic=1',
        write('0x98', '0x12'),
        'smmuv3_cmdq_consume prod=18 cons=17 prod.wrap=0 cons.wrap=0',
        'smmuv3_cmdq_opcode <--- INVALID',
        'smmuv3_cmdq_consume_error Error on INVALID command execution: 1',
        'smmuv3_write_gerror toggled=0x1, new GERROR=0x1',
        'smmuv3_cmdq_consume_out prod:18, cons:17, prod_wrap:0, cons_wrap:0',
        read('0x60', '0x1'),
      ),
    );
    expect(result.examples).toEqual([]);
    expect(result.compared.command).toBe(18);
  });

  it('lets a privileged leaf pass as privileged: no difference', async () => {
    const { result, entries } = await importText(edited(['48111fc7', '48111f87']));
    expect(result.examples).toEqual([]);
    expect(entries.some((entry) => entry.type === 'dma' && entry.privileged === true)).toBe(true);
  });

  it('counts what no habit explains as a difference, with its place, and notes it in the history', async () => {
    const { result, entries } = await importText(edited([/translated=0x48111000/, 'translated=0x48222000']));
    expect(result.differences).toEqual({ translation: 1, fault: 0, command: 0, register: 0, eventRecord: 0 });
    expect(result.examples[0]).toMatchObject({
      key: 'translation',
      line: 415,
      expected: '0x48222000 RO',
      actual: '0x48111000 RO',
    });
    const notes = entries.flatMap((entry) =>
      entry.type === 'note' && entry.kind === 'difference' ? [entry.text] : [],
    );
    expect(notes).toEqual([
      'line 415: stream 0x20 at 0xfffff000: the trace says 0x48222000 RO, the machine 0x48111000 RO',
    ]);
  });

  it('finds differences of every kind', async () => {
    const { result } = await importText(
      edited(
        [/translated=0x48111000/, 'translated=0x48222000'],
        ['SMMU_EVT_F_TRANSLATION', 'SMMU_EVT_F_ACCESS'],
        ['SMMU_CMD_PREFETCH_CONFIG', 'SMMU_CMD_CFGI_CD'],
        ['smmuv3_read_mmio addr: 0x9c val:0x11', 'smmuv3_read_mmio addr: 0x9c val:0x10'],
      ),
    );
    expect(result.differences).toMatchObject({ translation: 1, fault: 2, command: 1, register: 1 });
    const words = await importText(edited(['val=0x2000000010 kind=evtq', 'val=0x2100000010 kind=evtq']));
    expect(words.result.differences.eventRecord).toBe(2);
  });

  it('says when memory does not bear out what the SMMU read, and goes on with what it read', async () => {
    const { result } = await importText(edited([/cap_store pa=0x48193ff8 size=8 val=0x48111fc7.*\n/, 'x\n']));
    expect(result.differences.translation).toBe(1);
    expect(result.examples[0]?.expected).toContain('0x48111fc7 at 0x48193ff8');
  });
});
