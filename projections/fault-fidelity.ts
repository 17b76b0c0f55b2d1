/**
 * I11, fault fidelity: each terminated access gives exactly the event record that the architecture asks for, or none,
 * and a walk begins where its address says; each stall and each group of page requests gets one answer, and one that
 * can help (IHI 0070 3.4.1, 3.12, 5.5, 7.3, 8.1).
 */
import { answers } from './protocol/answers.ts';
import { misuses } from './protocol/misuses.ts';
import { pageAnswers } from './protocol/page-answers.ts';
import { recordsOfFaults } from './protocol/records-of-faults.ts';
import { walkBases } from './protocol/walk-bases.ts';
import type { LogRule } from './protocol/world.ts';

export const faultFidelity: LogRule = {
  rule: 'I11',
  name: 'fault-fidelity',
  finds:
    'records that do not describe their access, faults where a walk was due and walks where a fault was, stalls and ' +
    'page requests without one fitting answer',
  start: (world) => [
    misuses(world, 'I11'),
    recordsOfFaults(world),
    walkBases(world),
    answers(world),
    pageAnswers(world),
  ],
};
