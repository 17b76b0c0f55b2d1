/** The small map around an input address: which pages are valid, broken, on their way, clean. */
import { granules } from '../../core/smmu/granule.ts';
import type { Request } from '../../core/smmu/translate.ts';
import { isUnderWay } from './commands.ts';
import { tlbObligations } from './ledger.ts';
import type { TlbTarget } from './obligation.ts';
import { freshAnswer, type Shadow } from './shadow.ts';
import { hex, showSize } from './tell.ts';

const COLUMNS = 8;
const ROWS = 3;

/** Three rows of eight pages, the middle one holds the address; then the legend. */
export function mapAround(
  shadow: Shadow,
  request: Request,
  tags: Pick<TlbTarget, 'regime' | 'stage' | 'vmid' | 'asid' | 'granuleLog2'>,
): readonly string[] {
  const pageLog2 = granules[tags.granuleLog2 as keyof typeof granules]?.pageLog2 ?? 12;
  const page = 1n << BigInt(pageLog2);
  const row = page * BigInt(COLUMNS);
  const here = request.iova - (request.iova % page);
  const middle = here - (here % row);
  const rows: string[] = [];
  for (let at = 0; at < ROWS; at += 1) {
    const start = middle + row * BigInt(at - 1);
    if (start < 0n || start + row > 2n ** 64n) continue;
    let cells = '';
    for (let column = 0; column < COLUMNS; column += 1) {
      const iova = start + page * BigInt(column);
      const letter = letterOf(shadow, { ...request, iova }, tags);
      cells += iova === here ? `[${letter}]` : ` ${letter} `;
    }
    rows.push(`${start === middle ? '>' : ' '}${hex(start)}:${cells.trimEnd()}`);
  }
  return [
    `Obligations around the IOVA (one letter = ${showSize(pageLog2)}iB):`,
    ...rows,
    ' V valid  U broken, not clean  q queued  c performed, no SYNC  . clean',
  ];
}

function letterOf(
  shadow: Shadow,
  request: Request,
  tags: Pick<TlbTarget, 'regime' | 'stage' | 'vmid' | 'asid'>,
): string {
  const owed = tlbObligations(shadow.ledger, tags, request.iova).filter(({ kind }) => kind !== 'relaxed');
  if (owed.length > 0) {
    if (owed.some((each) => !isUnderWay(shadow.commands, each))) return 'U';
    return owed.every((each) => each.covered !== undefined) ? 'c' : 'q';
  }
  return freshAnswer(shadow, request).kind === 'ok' ? 'V' : '.';
}
