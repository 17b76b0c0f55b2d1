/** `cost`: what a history costs, counted and priced; or one story on several VMMs, side by side. */
import { type CostOptions, cost, type OperationCost } from '../../projections/cost/cost.ts';
import { defaultPrices } from '../../projections/cost/prices.ts';
import { openPass } from '../../projections/projection.ts';
import { InputError } from '../input-error.ts';
import { costLines, eachLines, type Shown, totalLines, type View, views } from './cost-text.ts';
import { type ExitCode, exitCodes, printAll } from './io.ts';
import { type Opened, withStore } from './open.ts';
import { type Range, showPosition } from './position.ts';
import { readPrices } from './price-file.ts';
import { type Options, textOption, type Verb, type VerbContext } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('[range]', 'what follows A in A..B, or all up to a position; all of the current branch')
      .option('--by <view>', 'kind: each thing counted; actor: each that did it; op: what it was done for')
      .option('--each', 'every operation by itself, as it ends')
      .option('--prices <file>', 'rows of a price list in place of the built-in ones (`help prices`)')
      .option('--compare <scenario>', 'runs a scenario on several VMMs, and prints their costs side by side')
      .option('--vmm <profiles>', 'with --compare: VMMs by name, with commas (`help vmms`)');
  },
  async run(context, [text], options) {
    const file = textOption(options, 'prices');
    const prices = file === undefined ? defaultPrices : readPrices(file);
    const view = viewOf(options);
    const scenario = textOption(options, 'compare');
    if (scenario !== undefined) {
      const { compareCosts } = await import('./cost-compare.ts');
      return compareCosts(context, scenario, { prices, vmms: textOption(options, 'vmm') });
    }
    if (textOption(options, 'vmm') !== undefined)
      throw new InputError('--vmm: expected --compare SCENARIO with it');
    return withStore(context, (opened) =>
      tellCost(context, opened, opened.range(text), { prices, view, each: options['each'] === true }),
    );
  },
};

function viewOf(options: Options): View {
  const text = textOption(options, 'by') ?? 'kind';
  const found = views.find((each) => each === text);
  if (found === undefined) throw new InputError(`--by: expected one of ${views.join(', ')}, found "${text}"`);
  return found;
}

interface Asked {
  readonly prices: NonNullable<CostOptions['prices']>;
  readonly view: View;
  readonly each: boolean;
}

async function tellCost(
  { io, json }: VerbContext,
  { session: { log } }: Opened,
  { from, to }: Range,
  { prices, view, each }: Asked,
): Promise<ExitCode> {
  const shown: Shown = {
    json,
    width: io.width,
    prices,
    position: (seq) => showPosition({ branch: to.branch, seq }),
  };
  const done: OperationCost[] = [];
  const options: CostOptions = {
    prices,
    after: from.seq,
    ...(each ? { each: (cost) => done.push(cost) } : {}),
  };
  const pass = openPass([cost(options)]);
  await printAll(
    io,
    (function* () {
      for (const entry of log.read(to.branch.id, 1, to.seq)) {
        pass.take(entry);
        for (const one of done.splice(0)) yield* eachLines(one, shown);
      }
      const [answer] = pass.answers();
      if (each) for (const one of answer.open) yield* eachLines(one, shown);
      else yield* costLines(answer, view, shown);
      if (!json) yield* totalLines(answer, showPosition(to), io.width);
      else yield JSON.stringify({ summary: { head: showPosition(to), ns: answer.total } });
    })(),
  );
  return exitCodes.clean;
}
