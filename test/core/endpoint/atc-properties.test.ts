/**
 * Properties of address translation caches: an invalidation removes what a plain filter over all entries
 * would; with a correct driver an endpoint with an ATC goes where one without goes, for every capacity; and
 * whatever is asked over whatever structures, the answer is one of the architecture.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Capacity } from '../../../core/config.ts';
import { Simulation } from '../../../core/simulation.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  at,
  command,
  dma,
  issue,
  map,
  reset,
  SID,
  store,
  storeWords,
  tables,
  unmap,
} from '../../support/build.ts';
import {
  atsMachine,
  atsStream,
  enable,
  endpointSet,
  guestStream,
  nestedStream,
  pageRequest,
  translate,
  translated,
} from '../../support/endpoints.ts';
import type { Asked } from '../../support/given.ts';

const flat = (asked: Asked): readonly Stimulus[] => ('type' in asked ? [asked] : asked.flatMap(flat));

function open(atc: Capacity, ...asked: readonly Asked[]): Simulation {
  const simulation = new Simulation(reset(atsMachine({ atc })));
  for (const stimulus of flat(asked)) simulation.dispatch(stimulus);
  return simulation;
}

/** Gives a stimulus; what it and its turns answer. */
function ask(simulation: Simulation, stimuli: readonly Stimulus[]) {
  let outcome: Readonly<Record<string, unknown>> = {};
  for (const stimulus of stimuli) outcome = simulation.dispatch(stimulus).outcome;
  return outcome;
}

describe('an invalidation', () => {
  const iova = fc.oneof(
    fc.nat(40).map((page) => BigInt(page) << 12n),
    fc.bigInt({ min: 0n, max: 2n ** 52n - 1n }).map((page) => page << 12n),
  );
  const pasid = fc.constantFrom(undefined, 0, 1, 2, 0xf_ffff);
  const filled = fc.record({
    iova,
    sizeLog2: fc.constantFrom(12, 14, 16, 21, 30, 48, 63),
    substreamId: pasid,
    privileged: fc.boolean(),
  });
  const invalidated = fc.record({
    Address: fc.oneof(iova, fc.constant(2n ** 64n - 4096n)),
    Size: fc.constantFrom(0, 1, 2, 4, 9, 18, 36, 51, 52),
    SSV: fc.boolean(),
    G: fc.boolean(),
    SubstreamID: fc.constantFrom(0, 1, 2, 3, 0xf_ffff),
  });

  it('removes what meets its span, of the PASIDs it is for', () => {
    fc.assert(
      fc.property(fc.array(filled, { maxLength: 30 }), invalidated, (entries, fields) => {
        const simulation = open('unbounded', enable());
        const events = entries.map(({ iova: va, sizeLog2, substreamId, privileged }) => ({
          type: 'atc.filled',
          smmu: 'smmu0',
          endpoint: 'dev0',
          streamId: SID,
          ...(substreamId === undefined ? {} : { substreamId }),
          iova: (va >> BigInt(sizeLog2)) << BigInt(sizeLog2),
          sizeLog2,
          pa: 0,
          permissions: privileged ? 'rp' : 'r',
          ste: 0,
          cd: 0,
          tlb: 0,
        }));
        simulation.dispatch({ type: 'observe', events });
        const { SSV, G, SubstreamID, Size } = fields;
        const size = 2n ** BigInt(12 + Size);
        const first = fields.Address - (fields.Address % size);
        const held = (): number[] =>
          [...(simulation.state.endpoints['dev0']?.atc.index.range() ?? [])].flatMap(([, spans]) =>
            [...spans.range()].map(([, id]) => id),
          );
        const { fills } = simulation.state.endpoints['dev0']!.atc;
        const expected = held().filter((id) => {
          const { iova: start, sizeLog2, substreamId } = fills.get(id)!;
          const apart = start + 2n ** BigInt(sizeLog2) <= first || start >= first + size;
          const other = SSV && (G ? substreamId === undefined : substreamId !== SubstreamID);
          return apart || other;
        });
        const words = command('CMD_ATC_INV', { StreamID: SID, ...fields, Address: Number(fields.Address) });
        ask(simulation, issue(0, words));
        expect(held().sort()).toEqual(expected.sort());
      }),
      { numRuns: 300 },
    );
  });
});

describe('an endpoint with an ATC', () => {
  const pages = 6;
  type Action =
    | { readonly use: number; readonly access: string }
    | { readonly page: number; readonly frame: number; readonly ro: boolean }
    | { readonly gone: number; readonly all: boolean };
  const action: fc.Arbitrary<Action> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ use: fc.nat(pages), access: fc.constantFrom('read', 'write') }) },
    { weight: 1, arbitrary: fc.record({ page: fc.nat(pages), frame: fc.nat(5), ro: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ gone: fc.nat(pages), all: fc.boolean() }) },
  );
  const capacity = fc.constantFrom<Capacity>(0, 1, 3, 'unbounded');
  const RO = 0xf43n | (1n << 11n) | (1n << 7n);

  /** Plays a driver; how often the endpoint went elsewhere than one without an ATC. */
  function differences(actions: readonly Action[], atc: Capacity, careful: boolean) {
    const simulation = open(atc, tables(), enable(), atsStream());
    let [queued, differing] = [0, 0];
    const flush = (page: number, all: boolean): void => {
      const inv = command('CMD_ATC_INV', {
        StreamID: SID,
        ...(all ? { Size: 52 } : { Address: page * 4096 }),
      });
      const sync = command('CMD_SYNC');
      const commands = [command('CMD_TLBI_NSNH_ALL'), sync, ...(careful ? [inv, sync] : [])];
      ask(simulation, issue(queued, ...commands));
      queued = (queued + commands.length) % 512;
    };
    for (const each of actions) {
      if ('gone' in each) {
        simulation.dispatch(unmap(each.gone * 4096));
        flush(each.gone, each.all);
      } else if ('page' in each) {
        const leaf = at.data + each.frame * 4096;
        simulation.dispatch(unmap(each.page * 4096));
        flush(each.page, false);
        simulation.dispatch(each.ro ? map(each.page * 4096, leaf, RO) : map(each.page * 4096, leaf));
        // Nothing was there to be held: no invalidation is due.
      } else {
        const iova = each.use * 4096 + 8;
        const access = each.access as 'read' | 'write';
        const held = simulation.state.endpoints['dev0']!.atc.size;
        // It asks when it holds nothing of the page, as a device does.
        const perms =
          holds(simulation, iova) ?? String(ask(simulation, [translate(iova, { access })])['perms']);
        const granted = perms.includes(access === 'read' ? 'r' : 'w');
        const through =
          granted && (atc !== 0 || held > 0)
            ? ask(simulation, [translated(iova, access)])
            : { result: granted ? 'ok' : 'abort' };
        const plain = ask(simulation, [dma(iova, access)]);
        const same = through['result'] === plain['result'] && (through['pa'] ?? plain['pa']) === plain['pa'];
        if (!same) differing += 1;
      }
    }
    return differing;
  }

  function holds(simulation: Simulation, iova: number): string | undefined {
    for (const [, entry] of simulation.state.endpoints['dev0']!.atc.fills.range())
      if (BigInt(iova) >= entry.iova && BigInt(iova) < entry.iova + 4096n) return entry.permissions;
    return undefined;
  }

  it('goes where one without goes, with a driver that invalidates in the right order', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 30 }), capacity, (actions, atc) => {
        expect(differences(actions, atc, true)).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('goes astray with one that forgets the ATC', () => {
    const story: Action[] = [
      { page: 1, frame: 0, ro: false },
      { use: 1, access: 'read' },
      { gone: 1, all: false },
      { use: 1, access: 'read' },
    ];
    expect(differences(story, 'unbounded', false)).toBe(1);
    expect(differences(story, 'unbounded', true)).toBe(0);
    expect(differences(story, 0, false)).toBe(0);
  });
});

describe('whatever is asked', () => {
  const u64 = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.nat(0x8000).map(BigInt),
    fc.nat(0x8000).map((low) => 2n ** 64n - 1n - BigInt(low)),
  );
  const ssid = fc.constantFrom({}, { ssid: 0 }, { ssid: 1 }, { ssid: 0xf_ffff });
  const access = fc.constantFrom('read', 'write');
  const flags = fc.record({ exec: fc.boolean(), privileged: fc.boolean() });
  const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const stimulus: fc.Arbitrary<Stimulus> = fc.oneof(
    fc
      .tuple(u64, access, ssid, flags, fc.nat(0x5000))
      .map(([iova, way, tag, more, size]) =>
        translate(iova, { access: way as 'read', size, ...tag, ...more }),
      ),
    fc
      .tuple(u64, access, ssid, flags, fc.nat(0x3000))
      .map(([iova, way, tag, more, size]) => translated(iova, way as 'read', { size, ...tag, ...more })),
    fc
      .tuple(u64, ssid, fc.constantFrom('read', 'write', 'none'), fc.nat(511), fc.boolean())
      .map(
        ([iova, tag, way, prgIndex, last]) =>
          ({ ...pageRequest(0, { access: way as 'none', prgIndex, last, ...tag }), iova }) as Stimulus,
      ),
    fc.record({ ats: fc.boolean(), silent: fc.boolean() }).map(endpointSet),
    fc.constantFrom(
      atsStream(),
      atsStream({ S1CDMax: 1, S1DSS: 'BYPASS' }),
      nestedStream(),
      nestedStream({ EATS: 'SPLIT' }),
    ),
    fc.tuple(fc.nat(7), word).map(([at8, value]) => store(at.strtab + SID * 64 + at8 * 8, value)),
    fc.tuple(fc.nat(7), word).map(([at8, value]) => store(at.cd + at8 * 8, value)),
    fc.tuple(fc.nat(0x4fff), word).map(([entry, value]) => store(at.table + (entry % 0x800) * 8, value)),
    fc.tuple(word, word).map(
      ([lo, hi]): Stimulus => ({
        type: 'command.issue',
        smmu: 'smmu0',
        lo: (lo & ~0xffn) | (lo & 1n) | 0x40n,
        hi,
      }),
    ),
    fc.constant<Stimulus>({ type: 'command.issue', smmu: 'smmu0', lo: 0x46n, hi: 0n }),
    fc.constant(storeWords(at.strtab + SID * 64, new Uint32Array(16))),
  );

  /** Plays random stimuli; the statuses that Translation Requests got. */
  function statusesOf(parameters: { readonly numRuns: number; readonly seed?: number }): readonly unknown[] {
    const statuses = new Set<unknown>();
    fc.assert(
      fc.property(fc.array(stimulus, { maxLength: 30 }), fc.constantFrom(0xd, 0x1d, 0x1f), (stimuli, cr0) => {
        const simulation = open(3, tables(), guestStream(), enable({ cr0, cr2: 10 }));
        for (const each of stimuli) {
          const { outcome } = simulation.dispatch(each);
          if (each.type === 'ats.translate') statuses.add(outcome['result']);
        }
        expect(simulation.state.smmus['smmu0']?.pageRequests).toEqual([]);
      }),
      parameters,
    );
    return [...statuses].sort();
  }

  it('ends in the architecture', () => {
    statusesOf({ numRuns: 200 });
  });

  it('gets every status, on the way', () => {
    expect(statusesOf({ numRuns: 300, seed: 1 })).toEqual(['ca', 'off', 'ok', 'ur']);
  });
});
