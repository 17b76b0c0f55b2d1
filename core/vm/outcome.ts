/** What scenario lines about a VM answer: `{}`, `{errno}` or `{refused}`; `{pending: true}` where turns are due. */
import type { Entry } from '../event.ts';

const ABOUT_VMS = /^(vm\.|kvm\.|guest\.(boot|irq)$)/;

/** Whether the stimulus is about a VM, and answers with `vm.answered`. */
export function isVmStimulus(type: string): boolean {
  return ABOUT_VMS.test(type);
}

/** @param entries the stimulus first. */
export function vmOutcome(entries: readonly Entry[]): Readonly<Record<string, unknown>> {
  const asked = entries[0]?.seq;
  for (const entry of entries) {
    if (entry.type !== 'vm.answered' || entry.about !== asked) continue;
    const { errno, refused, value } = entry;
    return {
      ...(errno === undefined ? {} : { errno }),
      ...(refused === undefined ? {} : { refused }),
      ...value,
    };
  }
  return { pending: true };
}
