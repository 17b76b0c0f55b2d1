/**
 * The catalogue of real bugs: what each is about, which stories show it, and why some have none. Rule, verdict and
 * length come from the stories themselves, so that the table in the README says what the tests hold.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { harmStories } from './harm-stories.ts';
import { protocolStories } from './protocol-stories.ts';

export interface Bug {
  readonly id: string;
  readonly title: string;
  /** Stories of it that do not bear its id. */
  readonly also?: readonly string[];
  /** Why no story tells it. */
  readonly untold?: string;
}

// biome-ignore format: a table
export const bugs: readonly Bug[] = [
  { id: 'B01', title: 'a permission raised by the CPU never reaches the TLB' },
  { id: 'B02', title: 'no flush of stage 2 tables shared with the CPU' },
  { id: 'B03', title: 'Leaf=1 leaves leaf entries in the walk cache' },
  { id: 'B04', title: 'a VMM ignores the CFGI of all streams' },
  { id: 'B05', title: 'a VMM keeps MSI doorbells it translated' },
  { id: 'B06', title: 'end of a range taken as its last byte' },
  { id: 'B07', title: 'TTL=3 misses block entries' },
  { id: 'B08', title: 'a crooked range drops its first page alone' },
  { id: 'B09', title: 'a contiguous group is cleared whole, flushed in part' },
  { id: 'B10', title: 'hardware drops one page of a block' },
  { id: 'B11', title: '"every ASID" looks for one that does not exist' },
  { id: 'B12', title: 'one vSID for two StreamIDs, the first alone is invalidated' },
  { id: 'B13', title: 'CMD_CFGI_STE reaches the wrong function' },
  { id: 'B14', title: 'upper and lower addresses alias in the walk cache' },
  { id: 'B15', title: 'ATC invalidated before the TLB is clean' },
  { id: 'B16', title: 'STE visible before the CD it points to' },
  { id: 'B17', title: 'an STE goes through V=0 without need' },
  { id: 'B18', title: 'a part that needs a CMD_SYNC between kinds' },
  { id: 'B19', title: 'PROD seen before the commands' },
  { id: 'B20', title: 'a waiter goes on before its CMD_SYNC' },
  { id: 'B21', title: 'pages freed before the flush' },
  { id: 'B22', title: 'table pages recycled while pointers are cached' },
  { id: 'B23', title: '"all streams" is an empty range' },
  { id: 'B24', title: 'CD.R is not kept with a cached CD' },
  { id: 'B25', title: 'CFGI stops short of the TLB beside the device' },
  { id: 'B26', title: 'ATS users miscounted, ATC_INV skipped' },
  { id: 'B27', title: 'a device reads ATC_INV in the other byte order' },
  { id: 'B28', title: 'ATC_INV to a device in reset' },
  { id: 'B29', title: 'a refused range becomes a CMD_SYNC' },
  { id: 'B30', title: 'commands counted as handled, never issued', also: ['bad-iommufd-batch-per-block.jsonl'] },
  { id: 'B31', title: 'stage 2 fault records without IPA and class' },
  { id: 'B32', title: 'an early exit skips the flush' },
  { id: 'B33', title: 'event records thrown away, no interrupt' },
  { id: 'B34', title: 'a consumer sleeps on a queue that is not empty' },
  { id: 'B35', title: 'a slot is read before PROD' },
  { id: 'B36', title: 'a full queue taken for an empty one' },
  { id: 'B37', title: 'BTM passed to a guest that gains nothing by it', also: ['bad-vm-broadcast-forwarded.jsonl'] },
  { id: 'B38', title: 'no wake-up event when a queue has room' },
  { id: 'B39', title: 'stall settings that the SMMU forbids' },
  { id: 'B40', title: 'commands a guest-owned queue cannot run' },
  { id: 'B41', title: 'the wrong one of TTB0 and TTB1' },
  { id: 'B42', title: 'the loser of a race for a block unmaps nothing' },
  { id: 'B43', title: 'an errno taken for an unmapped size' },
  { id: 'B44', title: 'pages of a range counted in 32 bits' },
  { id: 'B45', title: 'unmap takes a mapping made while it ran' },
  { id: 'B46', title: 'SMMUEN=0 under devices that still do DMA' },
  { id: 'B47', title: "one VM's time-out is told to the next VM" },
  { id: 'B48', title: 'a command for each page of a huge range' },
  { id: 'B49', title: 'by-ASID invalidation without the VMID' },
];

const WORST = ['used-stale', 'could-be-used', 'remade-dirty', 'protocol', 'excess'];
const here = new URL('.', import.meta.url);
const files = readdirSync(here).filter((name) => name.endsWith('.jsonl'));

/** The bad stories of a bug. */
export function storiesOf({ id, also = [] }: Bug): readonly string[] {
  return [...files.filter((name) => name.startsWith(`bad-${id.toLowerCase()}-`)), ...also];
}

/** The good twins of a bug that has stories. */
export function twinsOf({ id }: Bug): readonly string[] {
  return files.filter((name) => name.startsWith(`good-${id.toLowerCase()}-`));
}

/** Lines of a story, without comments. */
function lengthOf(file: string): number {
  const text = readFileSync(new URL(file, here), 'utf8');
  return text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('//')).length;
}

function rowOf(bug: Bug): string {
  const told = storiesOf(bug).flatMap((file) => {
    const wanted = harmStories[file] ?? protocolStories[file];
    return wanted === undefined ? [] : [{ file, wanted }];
  });
  const pairs = new Map(
    told.map(({ wanted: { rule = '', verdict } }) => [`${rule} ${verdict}`, { rule, verdict }]),
  );
  const sorted = [...pairs.values()].sort((x, y) => WORST.indexOf(x.verdict) - WORST.indexOf(y.verdict));
  const list = (texts: readonly string[]): string => [...new Set(texts)].join(', ');
  const columns =
    told.length === 0
      ? ['', '', `not told: ${bug.untold}`, '']
      : [
          list(sorted.map(({ rule }) => rule)),
          list(sorted.map(({ verdict }) => verdict)),
          'yes',
          String(Math.min(...told.map(({ file }) => lengthOf(file)))),
        ];
  return `| ${[bug.id, bug.title, ...columns].join(' | ')} |`.replace(/ {2,}/g, ' ');
}

/** The table of the README: a row for each bug. */
export function catalogueTable(): string {
  const head = ['| id | bug | rule | verdict | found | lines |', '| --- | --- | --- | --- | --- | --- |'];
  return [...head, ...bugs.map(rowOf)].join('\n');
}
