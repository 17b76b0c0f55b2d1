/** Errata of parts: what is left of an invalidation when one is switched on. */
import { describe, expect, it } from 'vitest';
import { scopesOf } from '../../../core/smmu/command.ts';
import { type CommandFields, type CommandName, encodeCommand } from '../../../core/smmu/command-layout.ts';
import { carriedOut } from '../../../core/smmu/errata.ts';
import { Features } from '../../../core/smmu/features.ts';
import type { Scope } from '../../../core/smmu/invalidate.ts';
import { profiles } from '../../../core/smmu/profiles.ts';

const env = { features: new Features(profiles.everything.idr), e2h: false, wildcard: 0 };

function asked<N extends CommandName>(command: N, fields: Partial<CommandFields<N>>): readonly Scope[] {
  return scopesOf(encodeCommand(command, fields), env);
}

const page = asked('CMD_TLBI_NH_VA', { ASID: 2, Address: 0x1000, Leaf: true });
/** B08: 32 pages from 0xff395000. */
const crooked = asked('CMD_TLBI_NH_VA', { ASID: 2, Address: 0xff39_5000, TG: '4KB', NUM: 31, SCALE: 0 });
const straight = asked('CMD_TLBI_NH_VA', { ASID: 2, Address: 0xff38_0000, TG: '4KB', NUM: 31, SCALE: 0 });

describe('no erratum', () => {
  it.each([[page], [crooked], [asked('CMD_CFGI_STE', { StreamID: 8 })]])(
    'leaves the scopes as they are',
    (scopes) => {
      expect(carriedOut(scopes, {}, 'CMD_TLBI_NH_VA', 'CMD_CFGI_STE')).toEqual(scopes);
    },
  );
});

describe('erratumNestedInvalidation', () => {
  const on = (scopes: readonly Scope[]) =>
    carriedOut(scopes, { erratumNestedInvalidation: true }, 'CMD_TLBI_NH_VA', undefined);

  it('keeps entries of both stages from an invalidation by address', () => {
    expect(page).toMatchObject([{ stages: [1, 12] }]);
    expect(on(page)).toEqual([{ ...page[0], stages: [1] }]);
  });

  it('lets an invalidation of all addresses be', () => {
    const all = [...asked('CMD_TLBI_NH_ASID', { ASID: 2 }), ...asked('CMD_TLBI_S12_VMALL', { VMID: 3 })];
    expect(on(all)).toEqual(all);
  });
});

describe('erratumRangeInvalidation', () => {
  const on = (scopes: readonly Scope[]) =>
    carriedOut(scopes, { erratumRangeInvalidation: true }, 'CMD_TLBI_NH_VA', undefined);

  it('leaves the first granule of a range that is not aligned to its size', () => {
    expect(crooked).toMatchObject([{ range: { start: 0xff39_5000n, end: 0xff3b_5000n } }]);
    expect(on(crooked)).toMatchObject([{ range: { start: 0xff39_5000n, end: 0xff39_6000n } }]);
  });

  it('lets an aligned range and a single page be', () => {
    expect(on(straight)).toEqual(straight);
    expect(on(page)).toEqual(page);
  });
});

describe('erratumMixedRuns', () => {
  const on = (command: CommandName, before: CommandName | undefined) =>
    carriedOut(page, { erratumMixedRuns: true }, command, before);

  it('loses an invalidation behind one of another kind', () => {
    expect(on('CMD_TLBI_NH_VA', 'CMD_CFGI_STE')).toEqual([]);
  });

  it('carries out a run of one kind, and the first after a CMD_SYNC', () => {
    expect(on('CMD_TLBI_NH_VA', 'CMD_TLBI_NH_VA')).toEqual(page);
    expect(on('CMD_TLBI_NH_VA', undefined)).toEqual(page);
  });
});
