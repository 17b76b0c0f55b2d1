/** A scenario as a module: a loop, and an answer that decides what follows. */
import { scenario } from '../../../adapters/scenario/scenario.ts';
import { boot, dma, machine, map } from '../story.ts';

export default scenario(function* () {
  yield machine;
  yield* boot();
  yield map;
  for (let page = 0; page < 3; page += 1) {
    const answer = yield { ...dma, iova: 0x1000n + BigInt(page) * 0x1000n };
    if (answer['result'] === 'abort') break;
  }
  yield { op: 'check', path: 'smmu0.evtq.size', equals: 1 };
});
