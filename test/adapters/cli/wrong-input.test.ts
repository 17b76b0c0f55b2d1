/** Each kind of wrong input: one clear message with its place, exit 2, and nothing half done. */
import { writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { verbs } from '../../../adapters/cli/verbs.ts';
import { smmuUnits } from '../../../core/smmu/units.ts';
import { boot, jsonl, machine, story } from '../story.ts';
import { openShell } from './backwalk.ts';

const VERBS = Object.keys(verbs).join(', ');
const shell = openShell();

beforeAll(async () => {
  await shell.backwalk('run', shell.file('story.jsonl', jsonl(story())));
});

describe('command lines', () => {
  const cases: readonly (readonly [args: string, message: string])[] = [
    ['frobnicate', `expected a verb (${VERBS}, help), found "frobnicate"`],
    ['shwo', `expected a verb (${VERBS}, help), found "shwo" (did you mean show?)`],
    ['gc @3', 'gc is not in this version of Backwalk'],
    ['log --frob', "unknown option '--frob' (Did you mean --from?)"],
    ['run', "missing required argument 'file'"],
    ['show main@99', 'expected a position of main (0 to 66), found main@99'],
    ['show main@3~9', 'expected a position of main (0 to 66), found main@3~9, 6 before its start'],
    ['show mian', 'expected a branch (main), found "mian" (did you mean main?)'],
    [
      'show @{maped}',
      'expected a bookmark (mapped, last fault, first finding, 50%), found "maped" (did you mean mapped?)',
    ],
    [
      'show main@@3',
      'expected a position (BRANCH@SEQ, @SEQ, BRANCH, @{label}, @{50%}, @{first finding} or @{last fault}, each with ~N), found "main@@3"',
    ],
    [
      'show @ smmu0.rgs',
      'path smmu0.rgs: expected one of regs, cmdq, evtq, priq, gerror, tlb, walk, ste, cd, l1std, l1cd, inFlight, ... after smmu0, found rgs (did you mean regs?)',
    ],
    ['show @ smmu0..regs', 'path smmu0..regs: expected NAME.NAME or NAME[INDEX] at "..regs"'],
    [
      'show @ mem[0x40001001]',
      'path mem[0x40001001]: expected [address, a multiple of 8] after mem, found [1073745921]',
    ],
    [
      'last smmu0.regs.CR0.SMMUENN',
      'path smmu0.regs.CR0.SMMUENN: expected one of SMMUEN, PRIQEN, EVENTQEN, CMDQEN, ATSCHK, VMW, DPT_WALK_EN after smmu0.regs.CR0, found SMMUENN (did you mean SMMUEN?)',
    ],
    [
      'log --type tlb.fill',
      '--type: expected a type such as tlb.filled, found "tlb.fill" (did you mean tlb.filled?)',
    ],
    ['log -n x', '-n: expected a count, found "x"'],
    [
      'log --touching frob:1',
      '--touching: expected a path or one of page:, iova:, sid:, asid:, vmid:, register:, command:, endpoint:, path:, type:, actor:, cache:, record:, errno:, object:, rule:, found "frob:1"',
    ],
    ['fork main @3', 'expected a new branch name, found "main", which there is already'],
    ['fork 3x @3', 'expected a branch name (letters, digits, _ . / -, a letter first), found "3x"'],
    ['check 5..2', 'expected A..B with A before B, found 5..2: try 2..5'],
    ['log main@5..@2', 'expected A..B with A before B, found main@5..@2: try 2..5'],
    ['diff @3', 'diff: expected two positions, found one'],
    [
      'bookmark 50%',
      'expected a bookmark name without braces that is no number and no landmark, found "50%"',
    ],
    [
      'help frob',
      `expected one of ${VERBS}, scenario, paths, positions, questions, findings, smmu, profiles, kernels, vmms, prices, rules, choices, found "frob"`,
    ],
    ['import frob x', 'expected a kind of trace (qemu-trace), found "frob"'],
  ];
  it.each(cases)('%s', async (args, message) => {
    const words = args.split(' ').map((word) => word.replace('_', ' '));
    expect(await shell.backwalk(...words)).toEqual({ code: 2, out: [], err: [`backwalk: ${message}`] });
  });

  it('says that there is no store, and makes none', async () => {
    const said = await shell.backwalk('log', '-s', '/nowhere/none.bw');
    expect(said).toEqual({
      code: 2,
      out: [],
      err: [
        'backwalk: no store /nowhere/none.bw: `backwalk run FILE` makes one, -s or BACKWALK_STORE names another',
      ],
    });
  });

  it('says what is wrong with a file that is no store', async () => {
    const file = `${shell.folder}/text.bw`;
    writeFileSync(file, 'this is no store\n'.repeat(1000));
    for (const verb of [['log'], ['run', shell.file('s.jsonl', jsonl(story()))], ['show', '@']]) {
      const said = await shell.backwalk(...verb, '-s', file);
      expect(said.code).toBe(2);
      expect(said.err[0]).toMatch(/^backwalk: .*text\.bw/);
      expect(said.err.join('\n')).not.toContain('    at ');
    }
    expect((await shell.backwalk('verify', '-s', file)).code).toBe(1);
  });

  it('says that a scenario file is not there', async () => {
    const said = await shell.backwalk('run', '/nowhere/none.jsonl');
    expect(said.code).toBe(2);
    expect(said.err[0]).toMatch(/^backwalk: cannot read \/nowhere\/none\.jsonl: ENOENT/);
  });
});

describe('scenario lines', () => {
  const MACHINE = JSON.stringify(machine);
  /** The second line, and what is said of it. */
  const cases: readonly (readonly [line: string, message: string])[] = [
    ['{"op":', 'expected a JSON object, found what is no JSON'],
    ['7', 'expected an object with "op", found 7'],
    ['{"value":1}', 'op: expected the name of an op, found nothing'],
    ['{"op":"dmaa"}', 'found "dmaa" (did you mean dma'],
    ['{"op":"vm.create","vm":"vm0"}', 'vm.create: expected a machine with a kernel'],
    ['{"op":"guest.dma","vm":"vm0","endpoint":"x","iova":0,"bytes":1,"access":"read"}', 'guest.dma: vm: '],
    ['{"op":"mem.alloc","bytes":1}', 'mem.alloc: expected a machine with a kernel'],
    ['{"op":"mem.write","vm":"vm0","gpa":0,"u64":[1]}', 'mem.write: vm: '],
    [MACHINE, 'machine: expected on the first line only, found where a machine runs'],
    [
      '{"op":"mem.read","pa":"0x40000000","byts":8}',
      'mem.read: bytes: expected a whole number from 1 to 0x1000000, found nothing',
    ],
    [
      '{"op":"mem.read","pa":"0x40000000","bytes":8,"byts":8}',
      'mem.read: unknown field "byts", expected pa, process, va, vm, gpa, bytes, expect, save, actor, cpu, pc (did you mean bytes?)',
    ],
    [
      '{"op":"mem.read","pa":"40000000h","bytes":8}',
      'mem.read: pa: expected an address of at most 52 bits, a number or "0x...", found "40000000h"',
    ],
    [
      '{"op":"mem.read","pa":1e300,"bytes":8}',
      'mem.read: pa: expected an address of at most 52 bits, a number or "0x...", found 1e+300',
    ],
    [
      '{"op":"mem.write","pa":0,"hex":"abc"}',
      'mem.write: hex: expected 1 to 0x1000000 bytes as hexadecimal digits, without 0x, found "abc"',
    ],
    [
      '{"op":"mem.write","pa":0,"hex":"ab","u64":[1]}',
      'mem.write: expected exactly one of hex, u64, u32, found hex and u64',
    ],
    ['{"op":"mem.write","pa":0}', 'mem.write: expected exactly one of hex, u64, u32, found none'],
    [
      '{"op":"mem.write","pa":0,"u32":["0x100000000"]}',
      'mem.write: u32: expected a list of 1 to 4194304 numbers of at most 32 bits, found ["0x100000000"]',
    ],
    [
      '{"op":"mmio.write","smmu":"smmu1","reg":"CR0","value":1}',
      'mmio.write: smmu: expected one of smmu0, found "smmu1" (did you mean smmu0?)',
    ],
    [
      '{"op":"mmio.write","smmu":"smmu0","reg":"CR7","value":1}',
      'mmio.write: reg: expected a register name such as CR0 or CMDQ_PROD (did you mean CR0 or CR1 or CR2?), found "CR7"',
    ],
    [
      '{"op":"mmio.write","smmu":"smmu0","reg":"CR0","value":"0x100000000"}',
      'mmio.write: value: expected at most 4 bytes, found "0x100000000"',
    ],
    ['{"op":"mmio.read","smmu":"smmu0","offset":0,"size":2}', 'mmio.read: size: expected 4 or 8, found 2'],
    [
      '{"op":"dma","endpoint":"nic","iova":0,"bytes":1,"access":"read"}',
      'dma: endpoint: expected one of nvme0, found "nic"',
    ],
    [
      '{"op":"dma","endpoint":"nvme0","iova":0,"bytes":1,"access":"rw"}',
      'dma: access: expected "read" or "write", found "rw"',
    ],
    [
      '{"op":"dma","endpoint":"nvme0","iova":0,"bytes":2,"access":"write","hex":"00"}',
      'dma: hex: expected 2 bytes, found 1',
    ],
    [
      '{"op":"dma","endpoint":"nvme0","iova":"0xffffffffffffffff","bytes":2,"access":"read"}',
      'dma: bytes: expected an end within 64 bits',
    ],
    [
      '{"op":"turn","unit":"smmu0.tlb"}',
      `turn: unit: expected one of ${smmuUnits.map(({ name }) => `smmu0.${name}`).join(', ')}, found "smmu0.tlb"`,
    ],
    [
      '{"op":"set","path":"smmu0.caches.tlb","value":"lots"}',
      'set: value: expected a count or "unbounded", found "lots"',
    ],
    ['{"op":"set","path":"smmu0.cachs.tlb","value":1}', 'found "smmu0.cachs.tlb"'],
    [
      '{"op":"set","path":"smmu0.choices.strictReserve","value":true}',
      '(did you mean smmu0.choices.strictReserved or ',
    ],
    ['{"op":"set","path":"smmu0.regs.CR0","value":1}', 'set: path: expected SMMU.caches'],
    ['{"op":"set","path":"smmu0.invalidation.x","value":"literal"}', '(did you mean smmu0.invalidation?)'],
    [
      '{"op":"ats.translate","endpoint":"nvme0","iova":0,"access":"read","exec":true}',
      'ats.translate: exec: expected with ssid only',
    ],
    [
      '{"op":"pri.request","endpoint":"nvme0","iova":0,"access":"read","prgIndex":0,"last":true,"privileged":true}',
      'pri.request: privileged: expected with ssid only',
    ],
    [
      '{"op":"command.issue","smmu":"smmu0","command":"CMD_SYNC","fields":{"MSIAddress":"0x1001"}}',
      'fields.MSIAddress: expected an address of at most 56 bits, a multiple of 0x4, found "0x1001"',
    ],
    [
      '{"op":"cpu.tlbi","operation":"VAE1IS","vmid":0,"asid":1,"va":0}',
      '(`help smmu` lists them) (did you mean VAE1?), found "VAE1IS"',
    ],
    ['{"op":"check","path":"smmu0.regs.CR9","equals":1}', 'found CR9 (did you mean CR0 or CR1 or CR2?)'],
    [
      '{"op":"check","path":"smmu0.tlb"}',
      'check: expected exactly one of equals, notEquals, contains, size, present, found none',
    ],
    ['{"op":"label","name":"50%"}', 'label: name: expected a bookmark name without braces'],
    [
      '{"op":"dma","endpoint":"$who","iova":0,"bytes":1,"access":"read"}',
      'expected a name that an earlier line saved (none yet), found "$who"',
    ],
    ['{"op":"run","turnsMax":0}', 'run: turnsMax: expected a whole number from 1 to 0x989680, found 0'],
    ['{"op":"endpoint.set","endpoint":"nvme0"}', 'endpoint.set: expected ats, pri'],
  ];
  it.each(cases)('%s', async (line, message) => {
    const file = shell.file(
      'wrong.jsonl',
      `${MACHINE}\n${JSON.stringify(boot()[0])}\n// a remark\n\n${line}\n`,
    );
    const said = await shell.backwalk('run', file);
    expect(said.code).toBe(2);
    const [first = '', second = ''] = said.err.filter((each) => !each.includes('already; this run is'));
    expect(first).toContain(`backwalk: ${file}:5: `);
    expect(first).toContain(message);
    expect(second).toMatch(/^backwalk: 2 lines ran; all up to run-\d+@2 is stored$/);
  });

  const machines: readonly (readonly [line: object, message: string])[] = [
    [{ op: 'mem.read', pa: 0, bytes: 1 }, 'expected {"op":"machine",...} first, found "mem.read"'],
    [
      { op: 'machine', smmus: [{ profile: 'qemu' }] },
      'machine: smmus[0].profile: expected "everything" or "minimal" or "qemu-7.2" or "qemu-9" or "qemu-11" or "mmu-600" or "mmu-700" or "fvp-rich" (did you mean qemu-9?), found "qemu"',
    ],
    [
      { op: 'machine', smmus: [{}, { name: 'b', idr: { IDR5: '0x77' } }] },
      'machine: smmus[1].idr.IDR5: expected OAS of at most 52 bits, 6: 56 bits need VMSAv9-128, which is not modelled (IHI 0070 6.3.6), found 0x77',
    ],
    [
      { op: 'machine', smmus: [{ idr: { IDR9: 1 } }] },
      'machine: smmus[0].idr: unknown field "IDR9", expected IDR0',
    ],
    [
      { op: 'machine', smmus: [{ caches: { tlb: -1 } }] },
      'machine: smmus[0].caches.tlb: expected a count or "unbounded", found -1',
    ],
    [{ op: 'machine', smmus: {} }, 'machine: smmus: expected a list of {name?, base?'],
    [
      { op: 'machine', smmus: [{}, { name: 'smmu0' }] },
      'machine: smmus[1].name: expected a name of its own, found "smmu0"',
    ],
    [
      { op: 'machine', smmus: [{ choices: { checkAccessFlag: 3 } }] },
      'machine: smmus[0].choices.checkAccessFlag: expected a boolean, found 3',
    ],
    [
      { op: 'machine', endpoints: [{ name: 'a' }] },
      'machine: endpoints[0].streamId: expected a whole number from 0 to 0xffffffff, found nothing',
    ],
    [
      { op: 'machine', endpoints: [{ name: 'a b', streamId: 1 }] },
      'machine: endpoints[0].name: expected a name (letters, digits, _ and -), found "a b"',
    ],
    [
      { op: 'machine', endpoints: [{ name: 'a', streamId: 1, smmu: 's' }] },
      'machine: endpoints[0].smmu: expected one of smmu0, found "s"',
    ],
    [
      {
        op: 'machine',
        endpoints: [
          { name: 'a', streamId: 1 },
          { name: 'b', streamId: 1 },
        ],
      },
      'machine: endpoints[1].streamId: expected a StreamID of its own',
    ],
    [
      { op: 'machine', endpoints: [{ name: 'a', streamId: 1, of: 'b' }] },
      'machine: endpoints[0].of: expected an endpoint before it behind smmu0 (there is none), found "b"',
    ],
    [
      { op: 'machine', ram: [{ base: 0, size: 0 }] },
      'machine: ram[0].size: expected at least 1 byte, found 0',
    ],
    [
      {
        op: 'machine',
        ram: [
          { base: 0, size: 4096 },
          { base: 0, size: 8 },
        ],
      },
      'machine: ram[1]: expected a range of its own, found one that overlaps ram[0]',
    ],
    [
      { op: 'machine', doorbell: '0x40000042' },
      'machine: doorbell: expected a multiple of 4 outside of memory, found 0x40000042',
    ],
    [
      { op: 'machine', kernel: { profile: 'v6.13' } },
      'machine: kernel.profile: expected a kernel profile such as linux-7.3 (`help kernels` lists them), found "v6.13"',
    ],
    [
      { op: 'machine', schedule: 'lazy' },
      'machine: schedule: expected "eager" or "manual" or "seeded", found "lazy"',
    ],
  ];
  it.each(machines)('%j', async (line, message) => {
    const before = (await shell.backwalk('branch')).out;
    const said = await shell.backwalk('run', shell.file('machine.jsonl', jsonl([line])));
    expect(said.code).toBe(2);
    expect(said.err[0]).toContain(`machine.jsonl:1: ${message}`);
    expect((await shell.backwalk('branch')).out).toEqual(before);
  });
});

describe('no verb', () => {
  it('is answered with the verbs, on standard error', async () => {
    const said = await shell.backwalk();
    expect(said).toMatchObject({ code: 2, out: [] });
    expect(said.err[0]).toBe('backwalk VERB [-s FILE.bw] [--json]');
  });

  it('is needed neither for help nor for the version', async () => {
    expect((await shell.backwalk('--version')).out).toEqual(['0.1.0']);
    expect((await shell.backwalk('--help')).out[0]).toContain('Usage: backwalk');
    expect((await shell.backwalk('help')).out[0]).toBe('backwalk VERB [-s FILE.bw] [--json]');
    expect((await shell.backwalk('help', 'scenario')).out).toContain('{"op":"mmio.write", ...}');
    expect((await shell.backwalk('help', 'log')).out[0]).toContain('Usage: backwalk log');
    for (const topic of ['scenario', 'paths', 'positions', 'smmu', 'profiles', 'choices']) {
      const { out } = await shell.backwalk('help', topic);
      expect(out.filter((line) => line.length > 120)).toEqual([]);
    }
  });
});
