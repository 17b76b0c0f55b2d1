/** `help prices`: what `cost` counts and how it is priced, from the price list. */
import { counted, defaultPrices, exceptions, type Price } from '../../projections/cost/prices.ts';

/** Where the second column begins. */
const INDENT = 20;

/** Every row of the list with its source. */
export function pricesHelp(): string[] {
  return [
    'What `cost` counts, and its prices in ns: low, typical, high. None was measured here.',
    'Rows of a file take their place (--prices FILE), in the form of `help prices --json`.',
    '',
    ...Object.entries(counted).flatMap(([name, row]) => [pad(name, row.meaning), pad('', priceText(row))]),
    ...Object.entries(exceptions).flatMap(([name, row]) => [pad(name, ''), pad('', priceText(row))]),
  ];
}

/** One object for each row: the lines of a price file. */
export function priceRows(): object[] {
  return Object.entries(defaultPrices).map(([what, { low, typical, high, per, basis, source }]) => ({
    what,
    low,
    typical,
    high,
    ...(per === undefined ? {} : { per }),
    basis,
    source,
  }));
}

function priceText({ low, typical, high, per, basis, source }: Price): string {
  return `${low}, ${typical}, ${high}${per === undefined ? '' : ` for ${per}`} (${basis}: ${source})`;
}

function pad(name: string, text: string): string {
  return `  ${name.padEnd(INDENT - 2)}${text}`.trimEnd();
}
