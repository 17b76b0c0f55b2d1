/** Fields of more than one op, and what any line of a scenario may say besides what its op takes. */
import { anything, count, type Fields, mapOf, name, text, u64 } from './values.ts';

export const vm = {
  kind: name,
  optional: true,
  doc: 'whose operating system; the host when left out',
} as const;
export const endpoint = { kind: name, doc: 'name of the endpoint' } as const;
export const ssid = { kind: count(0, 0xfffff), optional: true, doc: 'SubstreamID' } as const;

/** Fields that any line may have. */
export const commonFields = {
  expect: { kind: mapOf(undefined, anything), optional: true, doc: 'outcome fields that must be equal' },
  save: {
    kind: mapOf(undefined, text),
    optional: true,
    doc: '{NAME: field of the outcome}: later lines may say "$NAME" for any value',
  },
  actor: { kind: text, optional: true, doc: 'who does it; outside when left out' },
  cpu: { kind: count(0, 0xffff_ffff), optional: true, doc: 'the CPU that does it' },
  pc: { kind: u64, optional: true, doc: 'its program counter then' },
} as const satisfies Fields;
