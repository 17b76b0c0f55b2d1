/**
 * The reference walker itself, by cases worked out by hand from the tables of the Arm ARM (D8.2 to D8.5)
 * and from IHI 0070 3.4, 3.13 and 7.3. A case holds just the doublewords that the walk must read (a read
 * of any other address throws), so that the addresses of descriptors are checked too. All numbers but
 * S2T0SZ, S2SL0 and sizes are hexadecimal.
 */
import { describe, expect, it } from 'vitest';
import type { Granule } from './reference-tables.ts';
import type { Context, Memory, Outcome, Setup, Stage2 } from './reference-types.ts';
import { translate } from './reference-walker.ts';
import { pairs, table } from './tables.ts';

type Settings = ReadonlyMap<string, string>;
const settings = (text: string): Settings => new Map(pairs(text));

/** `4KB tsz=25 sl0=1 ttb=10000 ps=48` and flags. */
function stage2(text: string): Stage2 {
  const set = settings(text);
  return {
    granule: [...set.keys()][0] as Granule,
    tsz: Number(set.get('tsz')),
    sl0: Number(set.get('sl0')),
    ttb: BigInt(`0x${set.get('ttb')}`),
    psBits: Number(set.get('ps') ?? 52),
    ds: set.has('ds'),
    ha: set.has('ha'),
    hd: set.has('hd'),
    haft: set.has('haft'),
    affd: set.has('affd'),
    ptw: set.has('ptw'),
    fwb: set.has('fwb'),
    bigEndian: set.has('be'),
  };
}

/** TTB0 of EL1 with 4KB pages; TTB1 is off. */
function stage1(text: string): Setup {
  const set = settings(text);
  const ttb = BigInt(`0x${set.get('ttb')}`);
  const half = {
    epd: false,
    tsz: Number(set.get('tsz') ?? 48),
    granule: '4KB',
    ttb,
    tbi: false,
    had: false,
    e0pd: false,
  } as const;
  return {
    regime: 'EL1',
    halves: [half, { ...half, epd: true }],
    ipsBits: Number(set.get('ips') ?? 48),
    oasBits: 48,
    ds: false,
    affd: false,
    wxn: set.has('wxn'),
    pan: false,
    epan: false,
    ha: set.has('ha'),
    hd: set.has('hd'),
    haft: set.has('haft'),
    bigEndian: set.has('be'),
  };
}

/** `10240=11003 12b38=abort`: what stands where. */
function memoryOf(text: string): Memory {
  const words = new Map(pairs(text));
  return {
    read: (pa) => {
      const word = words.get(pa.toString(16));
      if (word === undefined) throw new Error(`reads 0x${pa.toString(16)}`);
      return word === 'abort' ? undefined : BigInt(`0x${word}`);
    },
    write: (pa, value) => words.set(pa.toString(16), value.toString(16)),
  };
}

/** `r`, `w` or `x`, `p` before it when privileged, and the address. */
function access(text: string): Parameters<typeof translate>[1] {
  const [kind = '', address = ''] = text.split(' ');
  return {
    iova: BigInt(`0x${address}`),
    write: kind.endsWith('w'),
    exec: kind.endsWith('x'),
    privileged: kind.startsWith('p'),
  };
}

/** `5000abc` or `F_TRANSLATION s2 TT ipa=3010 level=3`, then the writes: `9010: 7b43 > 7f43`. */
function said(outcome: Outcome): string {
  const parts: string[] = [];
  if ('record' in outcome) {
    parts.push(outcome.record);
    if (outcome.s2 !== undefined) parts.push(outcome.s2 ? 's2' : 's1', outcome.class ?? '');
    if (outcome.ipa !== undefined) parts.push(`ipa=${outcome.ipa.toString(16)}`);
    if (outcome.ttrnw !== undefined) parts.push(outcome.ttrnw ? 'TTR' : 'TTW');
    if (outcome.fetchAddr !== undefined) parts.push(`at=${outcome.fetchAddr.toString(16)}`);
    if (outcome.level !== undefined) parts.push(`level=${outcome.level}`);
  } else parts.push(outcome.pa.toString(16));
  const writes = outcome.writes.map(
    ({ pa, old, value }) => `${pa.toString(16)}: ${old.toString(16)} > ${value.toString(16)}`,
  );
  return [parts.join(' '), ...writes].join('; ');
}

function contextOf(first: string, second: string, oasBits: number, rest: Partial<Context> = {}): Context {
  return {
    oasBits,
    xnx: true,
    structures: [],
    ...(first === '' ? {} : { stage1: stage1(first) }),
    ...(second === '' ? {} : { stage2: stage2(second) }),
    ...rest,
  };
}

describe('stage 2 alone: where the walk goes', () => {
  // Worked out: index = IPA bits of the level, times 8, on the base aligned to its tables.
  // 1: 1234567abc: [38:30] 48, [29:21] 1a2, [20:12] 167.        2: two tables, aligned to 2000; [39:30] 200.
  // 3: sixteen tables of 1000; [42:30] 1fff.                      4: [33:21] 1fff.
  // 5: sixteen entries, aligned to 80.                            6: [51:48] f; next table 5_0000_0001_1000 by
  //    d[48] and d[8]; its block by d[49], d[39] and d[9].        7: [51:39] 1fff.
  // 8: two tables of 4000, aligned to 8000; [47:36] 800, [35:25] 1, [24:14] 1.       9: [28:14] 7fff.
  // 10: [41:29] 1001.   11: [45:29] 1ffff, [28:16] 1fff.   12: [51:42] 200; d[15:12] is address[51:48].
  const rows = table<'n' | 'stage2' | 'oas' | 'ipa' | 'memory' | 'answer'>(`
    n  | stage2                          | oas | ipa            | memory                                     | answer
    1  | 4KB tsz=25 sl0=1 ttb=10000      | 48  | 1234567abc     | 10240=11003 11d10=12003 12b38=500007ff     | 50000abc
    2  | 4KB tsz=24 sl0=1 ttb=13000      | 48  | 8012345678     | 13000=1400007fd                            | 152345678
    2a | 4KB tsz=24 sl0=1 ttb=13000      | 48  | 12345678       | 12000=1400007fd                            | 152345678
    3  | 4KB tsz=21 sl0=1 ttb=20000      | 48  | 7fffffff000    | 2fff8=c00007fd                             | fffff000
    4  | 4KB tsz=30 sl0=0 ttb=30000      | 48  | 3ffe01234      | 3fff8=600007fd                             | 60001234
    5  | 4KB tsz=48 sl0=3 ttb=100f0      | 48  | 5678           | 100a8=907ff                                | 90678
    6  | 4KB tsz=12 sl0=4 ttb=10000 ds   | 52  | f000000123456  | 10078=1000000011103 5000000011000=20080000006fd | a008000123456
    7  | 4KB tsz=12 sl0=2 ttb=40000 ds   | 52  | fff8000000abc  | 4fff8=0                                    | F_TRANSLATION s2 IN ipa=fff8000000abc level=0
    8  | 16KB tsz=16 sl0=2 ttb=1c000     | 48  | 800002004abc   | 1c000=20003 20008=24003 24008=787ff        | 78abc
    9  | 16KB tsz=35 sl0=0 ttb=80000     | 48  | 1fffc123       | bfff8=87ff                                 | 8123
    10 | 64KB tsz=22 sl0=1 ttb=10000     | 48  | 20020005678    | 18008=400007fd                             | 40005678
    11 | 64KB tsz=18 sl0=1 ttb=100000    | 48  | 3fffffffffff   | 1ffff8=50003 5fff8=707ff                   | 7ffff
    12 | 64KB tsz=12 sl0=2 ttb=10000     | 52  | 8000000000042  | 11000=23003 3000000020000=200057fd         | 5000020000042
    13 | 64KB tsz=12 sl0=2 ttb=10000 ps=48 | 52 | 8000000000042 | 11000=23003                                | F_ADDR_SIZE s2 IN ipa=8000000000042 level=1
    14 | 64KB tsz=16 sl0=2 ttb=10000     | 48  | 40000000000    | 10008=400000007fd                          | F_TRANSLATION s2 IN ipa=40000000000 level=1
    15 | 64KB tsz=16 sl0=2 ttb=10000     | 52  | 40000000abc    | 10008=400000007fd                          | 40000000abc
    16 | 4KB tsz=16 sl0=2 ttb=10000      | 48  | 8000000000     | 10008=80000007fd                           | F_TRANSLATION s2 IN ipa=8000000000 level=0
    17 | 4KB tsz=48 sl0=3 ttb=1000 ps=32 | 48  | 0              | 1000=1000007ff                             | F_ADDR_SIZE s2 IN ipa=0 level=3
    18 | 4KB tsz=48 sl0=3 ttb=1000 ps=52 | 32  | 0              | 1000=1000007ff                             | F_ADDR_SIZE s2 IN ipa=0 level=3
    19 | 4KB tsz=48 sl0=3 ttb=1000       | 48  | 0              | 1000=5                                     | F_TRANSLATION s2 IN ipa=0 level=3
    20 | 4KB tsz=48 sl0=3 ttb=1000       | 48  | 10000          |                                            | F_TRANSLATION s2 IN ipa=10000
    21 | 4KB tsz=48 sl0=3 ttb=1000       | 48  | 1000000000000  |                                            | F_ADDR_SIZE s1 IN
    22 | 4KB tsz=48 sl0=3 ttb=1000       | 48  | 3000           | 1018=abort                                 | F_WALK_EABT s2 IN at=1018 level=3
    23 | 4KB tsz=48 sl0=3 ttb=1000 be    | 48  | 0              | 1000=ff57000000000000                      | 5000
    24 | 16KB tsz=17 sl0=2 ttb=10000     | 48  | 1000000000     | 10008=10000007fd                           | F_TRANSLATION s2 IN ipa=1000000000 level=1
    25 | 16KB tsz=17 sl0=2 ttb=10000 ds  | 52  | 1000000000     | 10008=10000004fd                           | 1000000000
  `);
  it.each(rows)('$n: $ipa', ({ stage2: second, oas, ipa, memory, answer }) => {
    const context = contextOf('', second, Number(oas));
    expect(said(translate(context, access(`r ${ipa}`), memoryOf(memory)))).toBe(answer);
  });
});

describe('stage 2 alone: what a page permits', () => {
  // One table of sixteen entries at 1000, so that the descriptor of IPA 0 stands at 1000. Page 5000:
  // 3 valid page, 3c Normal write-back, 40 S2AP[0] read, 80 S2AP[1] write, 400 AF; bit 51 DBM, 54:53 XN.
  const rows = table<'flags' | 'd' | 'kinds' | 'answer'>(`
    flags      | d                | kinds   | answer
               | 543f             | r w     | F_PERMISSION
               | 547f             | r       | 5000
               | 547f             | w       | F_PERMISSION
               | 54bf             | w       | 5000
               | 54bf             | r       | F_PERMISSION
               | 54ff             | r w x px | 5000
               | 543f             | x px    | 5000
               | 200000000054ff   | x r w   | 5000
               | 200000000054ff   | px      | F_PERMISSION
               | 400000000054ff   | x px    | F_PERMISSION
               | 400000000054ff   | r w pr  | 5000
               | 600000000054ff   | px      | 5000
               | 600000000054ff   | x       | F_PERMISSION
    no-xnx     | 200000000054ff   | x px    | 5000
    no-xnx     | 600000000054ff   | x px    | F_PERMISSION
               | 50ff             | r w x   | F_ACCESS
               | 503f             | r       | F_ACCESS
    hd         | 50ff             | r       | F_ACCESS
    affd       | 50ff             | r w     | 5000
    affd       | 503f             | r       | F_PERMISSION
    ha         | 50ff             | r w x   | 5000; 1000: 50ff > 54ff
    ha         | 503f             | r       | F_PERMISSION
    ha         | 800000000507f    | w       | F_PERMISSION
    hd         | 800000000547f    | w       | F_PERMISSION
    ha hd      | 800000000547f    | w       | 5000; 1000: 800000000547f > 80000000054ff
    ha hd      | 800000000507f    | w       | 5000; 1000: 800000000507f > 80000000054ff
    ha hd      | 800000000507f    | r       | 5000; 1000: 800000000507f > 800000000547f
    ha hd      | 800000000547f    | r x     | 5000
    ha hd      | 80000000054ff    | w       | 5000
    ha hd      | 507f             | w       | F_PERMISSION
    ha hd      | 800000000543f    | w       | 5000; 1000: 800000000543f > 80000000054bf
    ha be      | ff50000000000000 | r       | 5000; 1000: ff50000000000000 > ff54000000000000
    ptw        | 54c3             | r w     | 5000
  `);
  const cases = rows.flatMap((row) => row.kinds.split(' ').map((kind) => ({ ...row, kind })));
  it.each(cases)('$kind of $d $flags: $answer', ({ flags, d, kind, answer }) => {
    const second = `4KB tsz=48 sl0=3 ttb=1000 ${flags.replace('no-xnx', '')}`;
    const context = contextOf('', second, 48, { xnx: !flags.includes('no-xnx') });
    const outcome = said(translate(context, access(`${kind} 0`), memoryOf(`1000=${d}`)));
    expect(outcome.replace(' s2 IN ipa=0 level=3', '')).toBe(answer);
  });
});

describe('stage 1 alone', () => {
  // TTB0 1000 of sixteen entries. Page 7000: 3 page, 40 AP[1] both, 80 AP[2] read-only, 300 SH, 400 AF, 800 nG.
  const rows = table<'flags' | 'd' | 'access' | 'answer'>(`
    flags   | d               | access | answer
            | 7f43            | w      | 7000
            | 7b43            | r      | F_ACCESS
            | 8000000007fc3   | w      | F_PERMISSION
    ha      | 7b43            | r      | 7000; 1000: 7b43 > 7f43
    ha      | 7bc3            | w      | F_PERMISSION
    ha      | 8000000007fc3   | w      | F_PERMISSION
    ha hd   | 8000000007fc3   | w      | 7000; 1000: 8000000007fc3 > 8000000007f43
    ha hd   | 8000000007bc3   | w      | 7000; 1000: 8000000007bc3 > 8000000007f43
    ha hd   | 8000000007bc3   | r      | 7000; 1000: 8000000007bc3 > 8000000007fc3
    ha hd   | 8000000007b83   | w      | F_PERMISSION
    ha hd   | 8000000007b83   | pw     | 7000; 1000: 8000000007b83 > 8000000007f03
    hd      | 8000000007fc3   | w      | F_PERMISSION
    ha hd wxn | 8000000007fc3 | x      | F_PERMISSION
    ha wxn  | 8000000007fc3   | x      | 7000
    ha hd   | 8000000007fc3   | px     | F_PERMISSION
    ha      | 8000000007fc3   | px     | 7000
    ha be   | 437b000000000000 | r     | 7000; 1000: 437b000000000000 > 437f000000000000
  `);
  it.each(rows)('$access of $d $flags: $answer', ({ flags, d, access: kind, answer }) => {
    const context = contextOf(`ttb=1000 ${flags}`, '', 48);
    const outcome = said(translate(context, access(`${kind} 0`), memoryOf(`1000=${d}`)));
    expect(outcome.replace(' s1 IN level=3', '')).toBe(answer);
  });
});

describe('both stages', () => {
  // Stage 2: one table at PA 1000, the descriptor of IPA page p at 1000 + 8p. Stage 1: one table at IPA
  // 3000, so the descriptor of VA 2abc stands at IPA 3010, which page 3 (at 1018) puts at PA 9010; it
  // leads to IPA 7abc, and page 7 (at 1038) to PA babc.
  const rows = table<'s1' | 's2' | 'memory' | 'access' | 'answer'>(`
    s1     | s2     | memory                                     | access | answer
           |        | 1018=94ff 9010=7f43 1038=b4ff              | r 2abc | babc
           |        | 1018=0                                     | r 2abc | F_TRANSLATION s2 TT ipa=3010 level=3
           | ps=32  | 1018=1000094ff                             | r 2abc | F_ADDR_SIZE s2 TT ipa=3010 level=3
           |        | 1018=90ff                                  | r 2abc | F_ACCESS s2 TT ipa=3010 level=3
           |        | 1018=94bf                                  | w 2abc | F_PERMISSION s2 TT ipa=3010 TTR level=3
           |        | 1018=947f 9010=7f43 1038=b4ff              | w 2abc | babc
           | ptw    | 1018=94c3                                  | r 2abc | F_PERMISSION s2 TT ipa=3010 TTR level=3
           |        | 1018=94c3 9010=7f43 1038=b4ff              | r 2abc | babc
           | ptw    | 1018=94ff 9010=7f43 1038=b4c3              | r 2abc | babc
           | ptw fwb | 1018=94ef                                 | r 2abc | F_PERMISSION s2 TT ipa=3010 TTR level=3
           | ptw fwb | 1018=94df 9010=7f43 1038=b4ff             | r 2abc | babc
           |        | 1018=abort                                 | r 2abc | F_WALK_EABT s2 TT at=1018 level=3
           |        | 1018=94ff 9010=abort                       | r 2abc | F_WALK_EABT s1 TT at=9010 level=3
           |        | 1018=94ff 9010=0                           | r 2abc | F_TRANSLATION s1 IN level=3
    ips=32 |        | 1018=94ff 9010=100007f43                   | r 2abc | F_ADDR_SIZE s1 IN level=3
           |        | 1018=94ff 9010=107f43                      | r 2abc | F_TRANSLATION s2 IN ipa=107abc
           |        | 1018=94ff 9010=7b43                        | r 2abc | F_ACCESS s1 IN level=3
           |        | 1018=94ff 9010=7f43 1038=0                 | r 2abc | F_TRANSLATION s2 IN ipa=7abc level=3
           |        | 1018=94ff 9010=7f43 1038=b47f              | w 2abc | F_PERMISSION s2 IN ipa=7abc level=3
           |        | 1018=94ff 9010=7f43 1038=abort             | r 2abc | F_WALK_EABT s2 IN at=1038 level=3
    ha     |        | 1018=94ff 9010=7b43 1038=b4ff              | r 2abc | babc; 9010: 7b43 > 7f43
    ha     |        | 1018=947f 9010=7b43                        | r 2abc | F_PERMISSION s2 TT ipa=3010 TTW level=3
    ha     | ha     | 1018=800000000947f 9010=7b43               | r 2abc | F_PERMISSION s2 TT ipa=3010 TTW level=3
    ha     | ha hd  | 1018=800000000907f 9010=7b43 1038=b0ff     | r 2abc | babc; 1018: 800000000907f > 800000000947f; 1018: 800000000947f > 80000000094ff; 9010: 7b43 > 7f43; 1038: b0ff > b4ff
    ha hd  | ha hd  | 1018=94ff 9010=8000000007fc3 1038=800000000b47f | w 2abc | babc; 9010: 8000000007fc3 > 8000000007f43; 1038: 800000000b47f > 800000000b4ff
    ha     | ha     | 1018=90ff 9010=7bc3                        | w 2abc | F_PERMISSION s1 IN level=3; 1018: 90ff > 94ff
    ha     |        | 1018=94ff 9010=7b43 1038=0                 | r 2abc | F_TRANSLATION s2 IN ipa=7abc level=3; 9010: 7b43 > 7f43
    be     |        | 1018=94ff 9010=437f000000000000 1038=b4ff  | r 2abc | babc
           | be     | 1018=ff94000000000000 9010=7f43 1038=ffb4000000000000 | r 2abc | babc
    ha be  |        | 1018=94ff 9010=437b000000000000 1038=b4ff  | r 2abc | babc; 9010: 437b000000000000 > 437f000000000000
           |        |                                            | r 10000 | F_TRANSLATION s1 IN
  `);
  it.each(rows)('$access $s1/$s2 $memory', ({ s1, s2, memory, access: kind, answer }) => {
    const context = contextOf(`ttb=3000 ${s1}`, `4KB tsz=48 sl0=3 ttb=1000 ${s2}`, 48);
    expect(said(translate(context, access(kind), memoryOf(memory)))).toBe(answer);
  });

  it('says F_TRANSLATION for a stage 1 table beyond S2T0SZ', () => {
    const context = contextOf('ttb=13000', '4KB tsz=48 sl0=3 ttb=1000', 48);
    expect(said(translate(context, access('r 2abc'), memoryOf('')))).toBe('F_TRANSLATION s2 TT ipa=13010');
  });
});

describe('the access flag of tables', () => {
  // Stage 2 as above. Stage 1 has two levels (T0SZ 42: VA[21] indexes level 2): the table at IPA 3000, whose
  // entry 1 stands at IPA 3008 (PA 9008) and leads to IPA 5000; entry [20:12]=2 of that stands at IPA 5010,
  // which page 5 (at 1028) puts at PA d010. 3 table, 403 with AF.
  const rows = table<'s1' | 's2' | 'memory' | 'answer'>(`
    s1      | s2     | memory                                                     | answer
    ha      |        | 1018=94ff 9008=5003 1028=d4ff d010=7f43 1038=b4ff          | babc
    haft    |        | 1018=94ff 9008=5003 1028=d4ff d010=7f43 1038=b4ff          | babc
    ha haft |        | 1018=94ff 9008=5003 1028=d4ff d010=7f43 1038=b4ff          | babc; 9008: 5003 > 5403
    ha haft |        | 1018=94ff 9008=5403 1028=d4ff d010=7b43 1038=b4ff          | babc; d010: 7b43 > 7f43
    ha haft |        | 1018=947f 9008=5003                                        | F_PERMISSION s2 TT ipa=3008 TTW level=3
    ha haft | ha hd  | 1018=800000000947f 9008=5003 1028=d4ff d010=0              | F_TRANSLATION s1 IN level=3; 1018: 800000000947f > 80000000094ff; 9008: 5003 > 5403
    ha haft |        | 1018=94ff 9008=2                                           | F_TRANSLATION s1 IN level=2
    ha haft ips=32 | | 1018=94ff 9008=100005003                                   | F_ADDR_SIZE s1 IN level=2
  `);
  it.each(rows)('$s1 $memory', ({ s1, s2, memory, answer }) => {
    const context = contextOf(`ttb=3000 tsz=42 ${s1}`, `4KB tsz=48 sl0=3 ttb=1000 ${s2}`, 48);
    expect(said(translate(context, access('r 202abc'), memoryOf(memory)))).toBe(answer);
  });

  it('is set at stage 2 as the walk passes', () => {
    // 1234567abc, as in the first case of stage 2.
    const context = contextOf('', '4KB tsz=25 sl0=1 ttb=10000 ha haft', 48);
    const memory = memoryOf('10240=11003 11d10=12003 12b38=500003ff');
    expect(said(translate(context, access('r 1234567abc'), memory))).toBe(
      '50000abc; 10240: 11003 > 11403; 11d10: 12003 > 12403; 12b38: 500003ff > 500007ff',
    );
  });
});

describe('structures through stage 2', () => {
  // The L1CD at IPA 4008 (page 4, at 1020) and the CD at IPA 5040 (page 5, at 1028), then stage 1 as above.
  const rest = '1018=94ff 9010=7f43 1038=b4ff';
  const rows = table<'s2' | 'memory' | 'answer'>(`
    s2    | memory                                  | answer
          | 1020=c47f c008=1 1028=d47f d040=1       | babc
          | 1020=0                                  | F_TRANSLATION s2 CD ipa=4008 level=3
          | 1020=c4bf                               | F_PERMISSION s2 CD ipa=4008 level=3
    ptw   | 1020=c4c3                               | F_PERMISSION s2 CD ipa=4008 level=3
          | 1020=abort                              | F_WALK_EABT s2 CD at=1020 level=3
          | 1020=c47f c008=abort                    | F_CD_FETCH at=c008
          | 1020=c47f c008=1 1028=d07f              | F_ACCESS s2 CD ipa=5040 level=3
          | 1020=c47f c008=1 1028=d47f d040=abort   | F_CD_FETCH at=d040
    ha hd | 1020=800000000c07f c008=1 1028=800000000d47f d040=1 | babc; 1020: 800000000c07f > 800000000c47f
  `);
  it.each(rows)('$s2 $memory: $answer', ({ s2, memory, answer }) => {
    const context = contextOf('ttb=3000', `4KB tsz=48 sl0=3 ttb=1000 ${s2}`, 48, {
      structures: [
        { structure: 'L1CD', address: 0x4008n },
        { structure: 'CD', address: 0x5040n },
      ],
    });
    expect(said(translate(context, access('w 2abc'), memoryOf(`${memory} ${rest}`)))).toBe(answer);
  });
});
