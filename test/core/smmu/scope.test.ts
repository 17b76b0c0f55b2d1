/**
 * What each invalidation covers (IHI 0070 4.3, 4.4, 4.4.1.1): a command, an entry, and whether the entry
 * must go. An entry is EL1, stage 1, VMID 3, ASID 7, a 4KB page at 0x40000000, unless it says otherwise.
 */
import { describe, expect, it } from 'vitest';
import { scopesOf } from '../../../core/smmu/command.ts';
import { type CommandName, commandLayouts } from '../../../core/smmu/command-layout.ts';
import { Features } from '../../../core/smmu/features.ts';
import { type ConfigTags, coversConfig, coversTlb, type TlbTags } from '../../../core/smmu/invalidate.ts';
import { idr, pairs, put, table } from '../../support/tables.ts';

function scopes(name: string, fields: string, env: string) {
  const { layout, opcode } = commandLayouts[name as CommandName];
  const words = put(layout.fields, new Uint32Array(4), fields);
  words[0] = ((words[0] ?? 0) | opcode) >>> 0;
  const own = pairs(env).filter(([key]) => key !== 'E2H');
  const features = new Features(idr(`S2P=1 Hyp=1 ${own.map((pair) => pair.join('=')).join(' ')}`));
  return scopesOf(words, { features, e2h: env.includes('E2H=1') });
}

function tlbEntry(text: string): TlbTags {
  const of = new Map(pairs(text));
  const granuleLog2 = { '4K': 12, '16K': 14, '64K': 16 }[of.get('g') ?? '4K'] ?? 12;
  const level = Number(of.get('level') ?? 3);
  return {
    regime: (of.get('regime') ?? 'EL1') as TlbTags['regime'],
    stage: Number(of.get('stage') ?? 1),
    vmid: Number(of.get('vmid') ?? 3),
    asid: Number(of.get('asid') ?? 7),
    global: of.has('global'),
    va: BigInt(of.get('va') ?? 0x4000_0000),
    granuleLog2,
    level,
    sizeLog2: granuleLog2 + (granuleLog2 - 3) * (3 - level),
    leaf: !of.has('table'),
  };
}

const VA = 'VMID=3 ASID=7 Address=0x40000000';
const tlb = table<'command' | 'fields' | 'env' | 'entry' | 'hit'>(`
  command            | fields                          | env   | entry                    | hit
  CMD_TLBI_NH_ALL    | VMID=3                          |       |                          | yes
  CMD_TLBI_NH_ALL    | VMID=3                          |       | asid=9 global            | yes
  CMD_TLBI_NH_ALL    | VMID=3                          |       | table level=1            | yes
  CMD_TLBI_NH_ALL    | VMID=3                          |       | stage=12                 | yes
  CMD_TLBI_NH_ALL    | VMID=3                          |       | stage=2                  | no
  CMD_TLBI_NH_ALL    | VMID=4                          |       |                          | no
  CMD_TLBI_NH_ALL    | VMID=3                          |       | regime=EL2               | no
  CMD_TLBI_NH_ALL    | VMID=3                          | S2P=0 | vmid=0                   | yes
  CMD_TLBI_NH_ASID   | VMID=3 ASID=7                   |       |                          | yes
  CMD_TLBI_NH_ASID   | VMID=3 ASID=7                   |       | table level=2            | yes
  CMD_TLBI_NH_ASID   | VMID=3 ASID=7                   |       | global                   | no
  CMD_TLBI_NH_ASID   | VMID=3 ASID=8                   |       |                          | no
  CMD_TLBI_NH_ASID   | VMID=4 ASID=7                   |       |                          | no
  CMD_TLBI_NH_VA     | ${VA}                           |       |                          | yes
  CMD_TLBI_NH_VA     | ${VA}                           |       | asid=8                   | no
  CMD_TLBI_NH_VA     | ${VA}                           |       | asid=8 global            | yes
  CMD_TLBI_NH_VA     | ${VA}                           |       | vmid=4 global            | no
  CMD_TLBI_NH_VA     | ${VA}                           |       | va=0x40001000            | no
  CMD_TLBI_NH_VA     | ${VA}                           |       | va=0x3ffff000            | no
  CMD_TLBI_NH_VA     | ${VA}                           |       | level=2                  | yes
  CMD_TLBI_NH_VA     | VMID=3 ASID=7 Address=0x401ff000 |      | level=2                  | yes
  CMD_TLBI_NH_VA     | VMID=3 ASID=7 Address=0x40200000 |      | level=2                  | no
  CMD_TLBI_NH_VA     | VMID=3 ASID=7 Address=0x7ffff000 |      | level=1                  | yes
  CMD_TLBI_NH_VA     | VMID=3 ASID=7 Address=0x40003000 |      | g=16K                    | yes
  CMD_TLBI_NH_VA     | VMID=3 ASID=7 Address=0x4000f000 |      | g=64K                    | yes
  CMD_TLBI_NH_VA     | ${VA}                           |       | table level=0 va=0       | yes
  CMD_TLBI_NH_VA     | ${VA}                           |       | table level=2            | yes
  CMD_TLBI_NH_VA     | ${VA} Leaf=1                    |       | table level=2            | no
  CMD_TLBI_NH_VA     | ${VA} Leaf=1                    |       | level=2                  | yes
  CMD_TLBI_NH_VA     | ${VA}                           |       | asid=8 table level=2     | no
  CMD_TLBI_NH_VA     | ${VA}                           |       | stage=12                 | yes
  CMD_TLBI_NH_VA     | ${VA}                           |       | stage=2                  | no
  CMD_TLBI_NH_VA     | VMID=3 ASID=7 Address=0xffff000040000000 |  | va=0xffff000040000000 | yes
  CMD_TLBI_NH_VA     | VMID=3 ASID=7 Address=0xffff000040000000 |  | va=0xffff000040000000 table level=2 | yes
  CMD_TLBI_NH_VA     | VMID=3 ASID=7 Address=0xffff000040000000 |  |                       | no
  CMD_TLBI_NH_VA     | VMID=3 ASID=7 Address=0x00ff000040000000 |  | va=0xffff000040000000 | yes
  CMD_TLBI_NH_VA     | VMID=3 ASID=7 Address=0xfffffffffffff000 |  | va=0xffffffffffe00000 level=2 | yes
  CMD_TLBI_NH_VA     | VMID=3 ASID=7 Address=0xfffffffffffff000 |  | va=0                  | no
  CMD_TLBI_NH_VAA    | VMID=3 Address=0x40000000       |       | asid=9                   | yes
  CMD_TLBI_NH_VAA    | VMID=3 Address=0x40000000       |       | asid=9 global            | yes
  CMD_TLBI_NH_VAA    | VMID=3 Address=0x40000000 Leaf=1 |      | asid=9 table level=1     | no
  CMD_TLBI_NH_VAA    | VMID=3 Address=0x40000000       |       | asid=9 table level=1     | yes
  CMD_TLBI_NH_VAA    | VMID=4 Address=0x40000000       |       |                          | no
  CMD_TLBI_EL2_ALL   |                                 |       | regime=EL2 vmid=0        | yes
  CMD_TLBI_EL2_ALL   |                                 |       | regime=EL2_E2H vmid=0    | yes
  CMD_TLBI_EL2_ALL   |                                 | E2H=1 | regime=EL2 vmid=0        | yes
  CMD_TLBI_EL2_ALL   |                                 |       |                          | no
  CMD_TLBI_EL2_ASID  | ASID=7                          |       | regime=EL2_E2H vmid=0    | yes
  CMD_TLBI_EL2_ASID  | ASID=7                          |       | regime=EL2_E2H global    | no
  CMD_TLBI_EL2_ASID  | ASID=7                          |       | regime=EL2 vmid=0        | no
  CMD_TLBI_EL2_VA    | ASID=1 Address=0x40000000       |       | regime=EL2 asid=0        | yes
  CMD_TLBI_EL2_VA    | ASID=7 Address=0x40000000       |       | regime=EL2_E2H           | no
  CMD_TLBI_EL2_VA    | ASID=7 Address=0x40000000       | E2H=1 | regime=EL2_E2H           | yes
  CMD_TLBI_EL2_VA    | ASID=8 Address=0x40000000       | E2H=1 | regime=EL2_E2H           | no
  CMD_TLBI_EL2_VA    | ASID=8 Address=0x40000000       | E2H=1 | regime=EL2_E2H global    | yes
  CMD_TLBI_EL2_VA    | ASID=7 Address=0x40000000       | E2H=1 | regime=EL2 asid=0        | no
  CMD_TLBI_EL2_VAA   | Address=0x40000000              | E2H=1 | regime=EL2_E2H asid=9    | yes
  CMD_TLBI_EL2_VAA   | Address=0x40000000              |       | regime=EL2_E2H asid=9    | no
  CMD_TLBI_EL2_VAA   | Address=0x40000000              |       | regime=EL2 asid=0        | yes
  CMD_TLBI_S12_VMALL | VMID=3                          |       | stage=2                  | yes
  CMD_TLBI_S12_VMALL | VMID=3                          |       | global                   | yes
  CMD_TLBI_S12_VMALL | VMID=4                          |       | stage=2                  | no
  CMD_TLBI_S2_IPA    | VMID=3 Address=0x40000000       |       | stage=2                  | yes
  CMD_TLBI_S2_IPA    | VMID=3 Address=0x40000000       |       | stage=12                 | no
  CMD_TLBI_S2_IPA    | VMID=3 Address=0x40000000       |       |                          | no
  CMD_TLBI_NSNH_ALL  |                                 |       | vmid=9 stage=12 global   | yes
  CMD_TLBI_NSNH_ALL  |                                 |       | vmid=9 stage=2           | yes
  CMD_TLBI_NSNH_ALL  |                                 |       | regime=EL2 vmid=0        | no
  CMD_SYNC           |                                 |       |                          | no
  CMD_ATC_INV        | Size=52                         |       |                          | no
`);

// Ranges: VMID 3, ASID 7, from 0x40000000 unless the row gives an address.
const ranges = table<'fields' | 'env' | 'entry' | 'hit'>(`
  fields                                | env   | entry                          | hit
  TG=1 NUM=3 SCALE=2                    |       | va=0x4000f000                  | yes
  TG=1 NUM=3 SCALE=2                    |       | va=0x40010000                  | no
  TG=1 NUM=3 SCALE=2                    |       | va=0x3ffff000                  | no
  TG=1 NUM=31 SCALE=31                  |       | va=0xff80003ffff000            | no
  TG=1 NUM=15 SCALE=31                  |       | va=0x80003ffff000              | yes
  TG=1 NUM=15 SCALE=31                  |       | va=0x800040000000              | no
  TG=2 NUM=0 SCALE=1                    |       | g=16K va=0x40004000            | yes
  TG=2 NUM=0 SCALE=1                    |       | g=16K va=0x40008000            | no
  TG=3 NUM=1 SCALE=0                    |       | g=64K va=0x40010000            | yes
  TG=3 NUM=1 SCALE=0                    |       | g=64K va=0x40020000            | no
  TG=3 NUM=1 SCALE=0                    |       |                                | no
  TG=1 NUM=1 SCALE=0                    |       | g=64K                          | no
  TG=1 NUM=1 SCALE=0                    |       | level=2                        | yes
  TG=1 NUM=1 SCALE=0                    |       | table level=2                  | yes
  TG=1 NUM=1 SCALE=0 Leaf=1             |       | table level=2                  | no
  TG=1 NUM=1 SCALE=0 TTL=3              |       |                                | yes
  TG=1 NUM=1 SCALE=0 TTL=3              |       | level=2                        | no
  TG=1 NUM=1 SCALE=0 TTL=3              |       | table level=2                  | yes
  TG=1 NUM=1 SCALE=0 TTL=2              |       | level=2                        | yes
  TG=1 NUM=1 SCALE=0 TTL=2              |       | table level=2                  | no
  TG=1 NUM=1 SCALE=0 TTL=2              |       | table level=1                  | yes
  TG=1 NUM=1 SCALE=0 TTL=1              |       | level=1                        | yes
  TG=1 NUM=1 SCALE=0 TTL=1              |       | table level=0 va=0             | yes
  TG=1 NUM=1 SCALE=0 TTL=1              |       | table level=1                  | no
  TG=1 NUM=0 SCALE=0 TTL=3              |       |                                | yes
  TG=1 NUM=0 SCALE=0 TTL=3              |       | va=0x40001000                  | no
  TG=2 NUM=1 SCALE=0 TTL=1              |       | g=16K level=2                  | yes
  TG=2 NUM=1 SCALE=0 TTL=1              | DS=1  | g=16K level=2                  | no
  TG=2 NUM=1 SCALE=0 TTL=1              | DS=1  | g=16K level=1 va=0             | yes
  TG=1 NUM=0 SCALE=32                   |       | va=0x40001000                  | no
  TG=1 NUM=0 SCALE=33                   |       | va=0x40001000                  | yes
  TG=1 NUM=0 SCALE=33                   |       | va=0x40002000                  | no
  TG=1 NUM=0 SCALE=32                   | DS=1  | va=0x1000003ffff000            | no
  TG=1 NUM=0 SCALE=32                   | DS=1  | va=0x10003ffff000              | yes
  TG=1 NUM=0 SCALE=63                   | DS=1  | va=0x7000000000000             | yes
  TG=3 NUM=0 SCALE=1 Address=0x40001000 |       | g=64K va=0x40000000            | yes
  TG=3 NUM=0 SCALE=1 Address=0x40001000 |       | g=64K va=0x40020000            | yes
  TG=3 NUM=0 SCALE=1 Address=0x40001000 |       | g=64K va=0x40030000            | no
  TG=1 NUM=31 SCALE=0 Address=0xffffffffffff0000 | | va=0xfffffffffffff000        | yes
  TG=1 NUM=31 SCALE=0 Address=0xffffffffffff0000 | | va=0                         | no
  TG=0 NUM=31 SCALE=9 TTL=1             |       | va=0x40001000                  | no
  TG=0 NUM=31 SCALE=9 TTL=1             |       |                                | yes
  TG=3 NUM=31 SCALE=9 TTL=1             | RIL=0 | va=0x40001000                  | no
  TG=3 NUM=31 SCALE=9 TTL=1             | RIL=0 |                                | yes
`);

const config = table<'command' | 'fields' | 'entry' | 'hit'>(`
  command            | fields                    | entry                            | hit
  CMD_CFGI_STE       | StreamID=8 Leaf=1         | cache=ste sid=8                  | yes
  CMD_CFGI_STE       | StreamID=8 Leaf=1         | cache=ste sid=9                  | no
  CMD_CFGI_STE       | StreamID=8 Leaf=1         | cache=cd sid=8 ssid=5            | yes
  CMD_CFGI_STE       | StreamID=8 Leaf=1         | cache=l1cd sid=8 span=64         | yes
  CMD_CFGI_STE       | StreamID=8 Leaf=1         | cache=l1std sid=0 span=256       | no
  CMD_CFGI_STE       | StreamID=8 Leaf=0         | cache=l1std sid=0 span=256       | yes
  CMD_CFGI_STE       | StreamID=255 Leaf=0       | cache=l1std sid=0 span=256       | yes
  CMD_CFGI_STE       | StreamID=256 Leaf=0       | cache=l1std sid=0 span=256       | no
  CMD_CFGI_STE_RANGE | StreamID=8 Range=0        | cache=ste sid=9                  | yes
  CMD_CFGI_STE_RANGE | StreamID=9 Range=0        | cache=ste sid=8                  | yes
  CMD_CFGI_STE_RANGE | StreamID=8 Range=0        | cache=ste sid=10                 | no
  CMD_CFGI_STE_RANGE | StreamID=13 Range=2       | cache=ste sid=8                  | yes
  CMD_CFGI_STE_RANGE | StreamID=13 Range=2       | cache=ste sid=7                  | no
  CMD_CFGI_STE_RANGE | StreamID=8 Range=0        | cache=l1std sid=0 span=64        | yes
  CMD_CFGI_STE_RANGE | StreamID=1 Range=30       | cache=ste sid=0x7fffffff         | yes
  CMD_CFGI_STE_RANGE | StreamID=1 Range=30       | cache=ste sid=0x80000000         | no
  CMD_CFGI_STE_RANGE | StreamID=1 Range=31       | cache=ste sid=0xffffffff         | yes
  CMD_CFGI_STE_RANGE | StreamID=8 Range=0        | cache=cd sid=9 ssid=3            | yes
  CMD_CFGI_CD        | StreamID=8 Leaf=1         | cache=cd sid=8                   | yes
  CMD_CFGI_CD        | StreamID=8 SubstreamID=5 Leaf=1 | cache=cd sid=8 ssid=5      | yes
  CMD_CFGI_CD        | StreamID=8 SubstreamID=5 Leaf=1 | cache=cd sid=8 ssid=6      | no
  CMD_CFGI_CD        | StreamID=8 SubstreamID=5 Leaf=1 | cache=cd sid=9 ssid=5      | no
  CMD_CFGI_CD        | StreamID=8 SubstreamID=5 Leaf=1 | cache=l1cd sid=8 span=64   | no
  CMD_CFGI_CD        | StreamID=8 SubstreamID=63 | cache=l1cd sid=8 span=64         | yes
  CMD_CFGI_CD        | StreamID=8 SubstreamID=64 | cache=l1cd sid=8 span=64         | no
  CMD_CFGI_CD        | StreamID=8 SubstreamID=64 | cache=l1cd sid=8 ssid=64 span=64 | yes
  CMD_CFGI_CD        | StreamID=8                | cache=ste sid=8                  | no
  CMD_CFGI_CD_ALL    | StreamID=8                | cache=cd sid=8 ssid=5            | yes
  CMD_CFGI_CD_ALL    | StreamID=8                | cache=l1cd sid=8 ssid=64 span=64 | yes
  CMD_CFGI_CD_ALL    | StreamID=8                | cache=ste sid=8                  | no
  CMD_CFGI_CD_ALL    | StreamID=8                | cache=cd sid=9                   | no
  CMD_TLBI_NSNH_ALL  |                           | cache=ste sid=8                  | no
`);

function configEntry(text: string): ConfigTags {
  const of = new Map(pairs(text));
  return {
    cache: of.get('cache') as ConfigTags['cache'],
    streamId: Number(of.get('sid')),
    substreamId: Number(of.get('ssid') ?? 0),
    span: Number(of.get('span') ?? 1),
  };
}

describe('a TLB invalidation (4.4)', () => {
  it.each(tlb)('$command $fields $env: $entry $hit', ({ command, fields, env, entry, hit }) => {
    const covered = scopes(command, fields, env).some(
      (scope) => scope.kind === 'tlb' && coversTlb(scope, tlbEntry(entry)),
    );
    expect(covered ? 'yes' : 'no').toBe(hit);
  });

  it.each(ranges)('a range: $fields $env: $entry $hit', ({ fields, env, entry, hit }) => {
    const from = fields.includes('Address') ? '' : 'Address=0x40000000';
    for (const command of ['CMD_TLBI_NH_VA', 'CMD_TLBI_NH_VAA']) {
      const tags = command === 'CMD_TLBI_NH_VA' ? 'VMID=3 ASID=7' : 'VMID=3';
      const covered = scopes(command, `${tags} ${fields} ${from}`, env).some(
        (scope) => scope.kind === 'tlb' && coversTlb(scope, tlbEntry(entry)),
      );
      expect(covered ? 'yes' : 'no').toBe(hit);
    }
  });
});

describe('a configuration invalidation (4.3)', () => {
  it.each(config)('$command $fields: $entry $hit', ({ command, fields, entry, hit }) => {
    const covered = scopes(command, fields, '').some(
      (scope) => scope.kind === 'config' && coversConfig(scope, configEntry(entry)),
    );
    expect(covered ? 'yes' : 'no').toBe(hit);
  });
});
