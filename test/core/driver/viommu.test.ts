/**
 * Invalidation for a guest: which commands pass and what is put into them, the fields that strict kernels
 * check, blocks of 63, and what is counted when one fails, by either rule.
 */
import { describe, expect, it } from 'vitest';
import { type Cmd, cmdOf } from '../../../core/driver/commands.ts';
import { decideFeatures, defaultPlatform } from '../../../core/driver/features.ts';
import { convertCommand } from '../../../core/driver/guest-commands.ts';
import { checkVste } from '../../../core/driver/nested.ts';
import { viommuInvalidate } from '../../../core/driver/ops.ts';
import type { InvalidateRules } from '../../../core/driver/viommu.ts';
import type { CommandName } from '../../../core/smmu/command-layout.ts';
import { profiles } from '../../../core/smmu/profiles.ts';
import { bootedHost, commandsOf, fieldOf, type Host, of } from '../../support/smmu-driver.ts';
import { table } from '../../support/tables.ts';

const view = { vmid: 9, streams: { 7: 0x108 } };
const features = decideFeatures(
  profiles.everything.idr as Parameters<typeof decideFeatures>[0],
  defaultPlatform,
);
const fields = { VMID: 0x55, ASID: 3, StreamID: 7 } as const;

describe('conversion', () => {
  const passed = table<'name' | 'becomes'>(`
    name           | becomes
    TLBI_NSNH_ALL  | TLBI_NH_ALL VMID=9
    TLBI_NH_ALL    | TLBI_NH_ALL VMID=9
    TLBI_NH_ASID   | TLBI_NH_ASID VMID=9 ASID=3
    TLBI_NH_VA     | TLBI_NH_VA VMID=9 ASID=3
    TLBI_NH_VAA    | TLBI_NH_VAA VMID=9
    ATC_INV        | ATC_INV StreamID=264
    CFGI_CD        | CFGI_CD StreamID=264
    CFGI_CD_ALL    | CFGI_CD_ALL StreamID=264
    CFGI_STE       | -
    CFGI_STE_RANGE | -
    PREFETCH_CONFIG | -
    TLBI_EL2_ALL   | -
    TLBI_EL2_ASID  | -
    TLBI_S12_VMALL | -
    TLBI_S2_IPA    | -
    PRI_RESP       | -
    RESUME         | -
    SYNC           | -
  `);

  const build = (name: string, over: object = {}): Cmd => {
    const of = `CMD_${name}` as CommandName;
    const known = Object.entries({ ...fields, ...over }).filter(([field]) => hasField(name, field));
    return cmdOf(of, Object.fromEntries(known) as never);
  };
  const hasField = (name: string, field: string): boolean => {
    if (field === 'VMID') return /NH_/.test(name) && name !== 'TLBI_NSNH_ALL';
    if (field === 'ASID') return /NH_ASID|NH_VA$/.test(name);
    return field === 'StreamID' ? /ATC|CFGI/.test(name) : true;
  };

  it.each(passed.map(({ name, becomes }) => [name, becomes]))('%s: %s', (name, becomes) => {
    const wanted = becomes
      .split(' ')
      .slice(1)
      .map((each) => each.split('='));
    const converted = convertCommand(build(name), view, features, true);
    const [other = name] = becomes.split(' ');
    const expected = Object.fromEntries(wanted.map(([field, value]) => [field, Number(value)]));
    expect(converted).toEqual(
      becomes === '-' ? undefined : cmdOf(`CMD_${other}` as CommandName, expected as never),
    );
  });

  it('refuses a StreamID that no vDEVICE has', () => {
    expect(convertCommand(build('ATC_INV', { StreamID: 8 }), view, features, false)).toBeUndefined();
  });

  it.each([
    ['a reserved bit', [0x11n | (1n << 8n), 0n], 'strict'],
    ['SSec', [0x05n | (7n << 32n) | (1n << 10n), 0n], 'strict'],
    ['a second doubleword', [0x10n, 1n], 'strict'],
    ['Size 53', cmdOf('CMD_ATC_INV', { StreamID: 7, Size: 53 }), 'strict'],
    ['NUM without TG', cmdOf('CMD_TLBI_NH_VA', { NUM: 3 }), 'strict'],
    ['TG with NUM, SCALE, TTL of 0', cmdOf('CMD_TLBI_NH_VA', { TG: '4KB' }), 'strict'],
    ['16KB at level 1', cmdOf('CMD_TLBI_NH_VA', { TG: '16KB', TTL: 1 }), 'strict'],
    ['SCALE 32', cmdOf('CMD_TLBI_NH_VAA', { TG: '4KB', SCALE: 32, TTL: 3 }), 'strict'],
    ['a good range', cmdOf('CMD_TLBI_NH_VA', { TG: '4KB', SCALE: 2, TTL: 3, Leaf: true }), 'never'],
  ] as const)('%s is refused: %s', (_, command, when) => {
    expect(convertCommand(command, view, features, true) === undefined).toBe(when === 'strict');
    expect(convertCommand(command, view, features, false)).toBeDefined();
  });
});

describe('blocks', () => {
  const good = (count: number): Cmd[] =>
    Array.from({ length: count }, (_, at) => cmdOf('CMD_TLBI_NH_ASID', { ASID: at + 1 }));
  const bad = cmdOf('CMD_TLBI_EL2_ALL');
  const rules: InvalidateRules = { batchRule: 'per-block', strict: true, zeroLength: 'EINVAL' };

  /** How it ended, as `handled=N errno=E`. */
  function invalidate(host: Host, commands: readonly Cmd[], over: Partial<InvalidateRules> = {}) {
    const about = { do: 'driver.tell', driver: 'smmu0', what: 'done' };
    const frames = viommuInvalidate(host.context, 'smmu0', view, commands, { ...rules, ...over }, about);
    const entries = host.run(frames);
    const ends = of(entries, 'driver.told').filter(({ what }) => what === 'done');
    expect(ends).toHaveLength(1);
    return { end: ends[0]?.detail, entries };
  }

  it('of 63, each with a CMD_SYNC', () => {
    const host = bootedHost();
    const { end, entries } = invalidate(host, good(100));
    expect(end).toBe('handled=100');
    const names = commandsOf(entries);
    expect([names.indexOf('SYNC'), names.lastIndexOf('SYNC'), names.length]).toEqual([63, 101, 102]);
    expect(new Set(fieldOf(entries, 'CMD_TLBI_NH_ASID', 'VMID'))).toEqual(new Set([9]));
  });

  // 100 entries, entry 70 bad: 0 to 62 are done, 63 to 69 are counted by one rule and by neither issued.
  it.each([
    ['per-block', 70],
    ['validate-first', 63],
  ] as const)('%s: a bad entry 70 gives EIO and %i', (batchRule, handled) => {
    const host = bootedHost();
    const { end, entries } = invalidate(host, [...good(70), bad, ...good(29)], { batchRule });
    expect(end).toMatch(new RegExp(`^handled=${handled} errno=EIO( unissued=.*)?$`));
    expect(end?.includes('unissued')).toBe(batchRule === 'per-block');
    expect(fieldOf(entries, 'CMD_TLBI_NH_ASID', 'ASID')).toEqual(good(63).map((_, at) => at + 1));
  });

  it.each([
    ['per-block', 62],
    ['validate-first', 0],
  ] as const)('%s: a CMD_SYNC that times out gives ETIMEDOUT and %i', (batchRule, handled) => {
    const host = bootedHost();
    host.put({ type: 'set', path: 'smmu0.quirks.ignore-errors', value: true });
    // A guest's command that hardware refuses, let through by a kernel that does not look: TG without a range.
    const ill: Cmd = cmdOf('CMD_TLBI_NH_VA', { TG: '4KB' });
    const { end } = invalidate(host, [ill, ...good(99)], { batchRule, strict: false });
    expect(end).toBe(`handled=${handled} errno=ETIMEDOUT`);
    expect(of(host.entries, 'sync.timedout')).toHaveLength(1);
  });

  it('a command that hardware refuses is a success all the same', () => {
    const ill = cmdOf('CMD_TLBI_NH_VA', { TG: '4KB' });
    const { end, entries } = invalidate(bootedHost(), [ill], { strict: false });
    expect(of(entries, 'command.rejected')).toHaveLength(1);
    expect(end).toBe('handled=1');
  });

  it('the frame of the end is `invalidate.done` unless the caller says otherwise', () => {
    const frames = viommuInvalidate(bootedHost().context, 'smmu0', view, [], rules, { ioctl: 12 });
    expect(frames).toMatchObject([{ do: 'viommu.invalidate', about: { ioctl: 12 } }]);
  });

  it.each([
    ['EINVAL', 'handled=0 errno=EINVAL'],
    ['accepted', 'handled=0'],
  ] as const)('no entries: %s', (zeroLength, wanted) => {
    const { end } = invalidate(bootedHost(), [], { zeroLength });
    expect(end).toBe(wanted);
  });
});

describe('vSTE checks', () => {
  const cases = table<'case' | 'word0' | 'word1' | 'errno'>(`
    case                        | word0              | word1        | errno
    abort                       | 0x1                | 0x0          | -
    bypass                      | 0x9                | 0x0          | -
    stage 1                     | 0x8000000b         | 0x2          | -
    stage 1 with ATS            | 0x8000000b         | 0x10000002   | -
    V=0 with anything           | 0xfffffffffffffffe | 0xffffffffff | -
    stage 2                     | 0xd                | 0x0          | EIO
    nested                      | 0xf                | 0x0          | EIO
    S1ContextPtr beyond 52 bits | 0x1000000000000b   | 0x0          | EIO
    MEV                         | 0x8000000b         | 0x80002      | EIO
    split-stage ATS             | 0x8000000b         | 0x20000002   | EIO
    S1CDMax and S1Fmt           | 0xf80000000000003b | 0x0          | -
  `);

  it.each(cases.map((row) => [row.case, row]))('%s', (_, { word0, word1, errno }) => {
    const checked = checkVste([BigInt(word0), BigInt(word1)]);
    expect('errno' in checked ? checked.errno : '-').toBe(errno);
  });
});
