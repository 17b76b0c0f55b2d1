/** How the facts about the kernel evolve the state. Nothing is decided here. */

import { assert, present } from '../assert.ts';
import { changed } from '../changed.ts';
import type { Handlers } from '../machine.ts';
import { openMap, sealedMap } from '../parts.ts';
import type { State } from '../state.ts';
import type { kernelEvents } from './events.ts';
import { areaHandlers } from './iommufd/area-handlers.ts';
import { objectHandlers } from './iommufd/object-handlers.ts';
import { iommufdHandlers } from './iommufd/queue-handlers.ts';
import { kernelOf } from './kernel.ts';
import { addFree, removeFree } from './process/pool.ts';
import { FIRST_VA } from './process/process.ts';
import { PAGE_BYTES, type Process } from './process/state.ts';
import type { KernelState, OpenFile } from './state.ts';

const nothing = (): void => {};

export const kernelHandlers: Pick<Handlers, keyof typeof kernelEvents> = {
  'pages.taken': (state, { pa, bytes }) =>
    removeFree(openMap(kernelOf(state).pool, 'free'), { pa, size: bytes }),
  'pages.returned': (state, { pa, bytes }) =>
    addFree(openMap(kernelOf(state).pool, 'free'), { pa, size: bytes }),
  'backing.made': (state, { backing: id, kind, bytes, runs }) => {
    const kernel = kernelOf(state);
    for (const run of runs) removeFree(openMap(kernel.pool, 'free'), run);
    openMap(kernel, 'backings').set(id, { id, kind, bytes, runs, users: 1 });
    kernel.nextBacking = id + 1;
  },
  'backing.held': (state, { backing: id, users }) => {
    const kernel = kernelOf(state);
    const backing = present(kernel.backings.get(id), `backing ${id}`);
    assert(users >= 0, `backing ${id} has no fewer than 0 users`);
    if (users > 0) {
      openMap(kernel, 'backings').set(id, { ...backing, users });
      return;
    }
    openMap(kernel, 'backings').delete(id);
    for (const run of backing.runs) addFree(openMap(kernel.pool, 'free'), run);
  },
  'allocation.counted': (state, { left }) => {
    kernelOf(state).failNth = left;
  },

  'process.made': (state, { process: name }) => {
    const scratch = { va: 0, bytes: 0 };
    kernelOf(state).processes[name] = {
      name,
      mappings: sealedMap(),
      nextVa: FIRST_VA,
      scratch,
      scratchUsed: 0,
    };
  },
  'process.exited': (state, { process }) => {
    delete kernelOf(state).processes[process];
  },
  'mapping.added': (state, { process: name, va, bytes, backing, offset }) => {
    const process = processIn(state, name);
    openMap(process, 'mappings').set(va / PAGE_BYTES, { va, bytes, backing, offset });
    // A page between mappings stays free, so that running past the end of one is seen.
    process.nextVa = Math.max(process.nextVa, va + bytes + PAGE_BYTES);
  },
  'mapping.removed': (state, { process, va }) => {
    openMap(processIn(state, process), 'mappings').delete(va / PAGE_BYTES);
  },
  'scratch.moved': (state, { process: name, va, bytes }) => {
    processIn(state, name).scratch = { va, bytes };
  },

  'file.opened': (state, { fd, file, name }) => {
    const kernel = kernelOf(state);
    kernel.files[fd] = file;
    if (name !== undefined) kernel.names[name] = fd;
  },
  'file.changed': (state, { fd, set }) => {
    const { files } = kernelOf(state);
    files[fd] = { ...present(files[fd], `file ${fd}`), ...set } as OpenFile;
  },
  'file.closed': (state, { fd }) => {
    const kernel = kernelOf(state);
    delete kernel.files[fd];
    for (const [name, held] of Object.entries(kernel.names)) if (held === fd) delete kernel.names[name];
  },

  'ioctl.begun': (state, { seq: id, fd, process, code, name, argument, scratch }) => {
    kernelOf(state).calls[id] = { id, fd, process, code, name, argument };
    processIn(state, process).scratchUsed = scratch;
  },
  'ioctl.answered': (state, { ioctl, set }) => {
    const { calls } = kernelOf(state);
    calls[ioctl] = changed(present(calls[ioctl], `call ${ioctl}`), set);
  },
  'ioctl.completed': (state, { ioctl, process: name, errno, ret }) => {
    const kernel = kernelOf(state);
    const { argument = 0n } = kernel.calls[ioctl] ?? {};
    delete kernel.calls[ioctl];
    const process = kernel.processes[name];
    // Only a VMM looks back at what it was answered.
    if (process !== undefined && state.vms[name] !== undefined)
      process.answered = { ioctl, argument, ...(errno && { errno }), ...(ret === undefined ? {} : { ret }) };
    if (process !== undefined && !isCalling(kernel, name)) process.scratchUsed = 0;
  },
  'syscall.returned': nothing,
  'kernel.booted': nothing,

  ...objectHandlers,
  ...areaHandlers,
  ...iommufdHandlers,
};

function isCalling({ calls }: KernelState, name: string): boolean {
  return Object.values(calls).some(({ process }) => process === name);
}

function processIn(state: State, name: string): Process {
  return present(kernelOf(state).processes[name], `process ${name}`);
}
