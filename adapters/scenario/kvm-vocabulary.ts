/** The rows of the vocabulary that are about KVM: slots of guest memory, interrupts, VMIDs, TLB maintenance of vCPUs. */
import { guestOperations } from '../../core/kvm/tlbi.ts';
import { endpoint } from './common-fields.ts';
import { count, flag, iova, name, oneOf, pa } from './values.ts';

const ofVm = { kind: name, doc: 'name of the VM' } as const;
/** Largest slot, bytes. */
const SLOT_MAX = 2 ** 40;

/** Of a TLBI by range. */
export const tlbiRange = {
  tg: { kind: oneOf('4KB', '16KB', '64KB'), optional: true, doc: 'of a range: its granule' },
  num: { kind: count(0, 31), optional: true, doc: 'of a range: (num + 1) * 2^(5 * scale + 1) granules' },
  scale: { kind: count(0, 3), optional: true, doc: 'of a range' },
  ttl: { kind: count(0, 3), optional: true, doc: 'of a range: level hint' },
} as const;

// biome-ignore format: a table
export const kvmRows = {
  'vm.slot': {
    summary: 'A slot of guest memory goes, or comes with new memory behind it', outcome: '{}, or {errno}; {pending}',
    fields: {
      vm: ofVm, gpa: { kind: pa, doc: 'guest physical address, of a page' }, bytes: { kind: count(1, SLOT_MAX), doc: 'the whole slot' },
      present: { kind: flag, doc: 'it is there afterwards' },
    },
  },
  'guest.irq': {
    summary: 'The guest turns MSIs of a device on or off; the VMM asks VFIO for those of a device of the host', outcome: '{}, {gpa} where there is a route, or {errno}; {pending}',
    fields: { vm: ofVm, endpoint, on: { kind: flag, optional: true, doc: 'they are on afterwards; true when left out' }, iova: { kind: iova, optional: true, doc: 'address that the guest writes into the vector, its doorbell in its own tables; the VMM makes KVM\'s route of it' } },
  },
  'kvm.tlbi': {
    summary: 'A vCPU broadcasts a TLBI, with the VMID that KVM has given the VM', outcome: '{}',
    fields: {
      vm: ofVm, operation: { kind: oneOf(...guestOperations), doc: 'as the instruction, without IS or OS; R... take a range' },
      asid: { kind: count(0, 0xffff), optional: true, doc: 'where it is for one ASID' },
      va: { kind: iova, optional: true, doc: 'where it is for a virtual address' },
      ...tlbiRange,
    },
  },
  'kvm.rollover': { summary: 'A generation of KVM\'s VMIDs ends: all that are not pinned change', outcome: '{}', fields: {} },
} as const;
