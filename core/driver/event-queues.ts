/**
 * The threads of the Event queue and of the PRI queue (linux: arm_smmu_evtq_thread, arm_smmu_handle_event,
 * arm_smmu_priq_thread): each entry is read and its room given back before it is looked at. What is for
 * others goes up as a frame: `vevent.deliver` to the owner of a nested endpoint, `page.fault` to who serves
 * the faults of a stalled access.
 */
import { present } from '../assert.ts';
import { decode } from '../layout/layout.ts';
import type { Context } from '../machine.ts';
import { eventRecordByNumber, eventRecords, PRI_ENTRY } from '../smmu/event-record.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { issue } from './cmdq.ts';
import { cmdOf, wordsOfCmd } from './commands.ts';
import { driverOf, loadDoublewords, portOf, tell } from './port.ts';
import type { Attachment, DriverQueue, DriverState, Master, Vmaster } from './state.ts';

interface QueueFrame extends Frame {
  readonly driver: string;
}

/** A record for the VM of a nested endpoint: its four doublewords as hardware wrote them. */
export interface VeventFrame extends Frame {
  readonly do: 'vevent.deliver';
  readonly driver: string;
  readonly endpoint: string;
  readonly vmaster: Vmaster;
  readonly words: readonly bigint[];
}

/** A stalled access: who serves it answers with `resumeFrame`. */
export interface PageFaultFrame extends Frame {
  readonly do: 'page.fault';
  readonly driver: string;
  readonly endpoint: string;
  readonly streamId: number;
  readonly attached: Attachment;
  readonly stag: number;
  readonly ssid?: number;
  readonly iova: bigint;
  readonly write: boolean;
  readonly execute: boolean;
  readonly privileged: boolean;
}

const OVERFLOW = 2 ** 31;

/** Records that the driver handles; all others are printed. */
const HANDLED: ReadonlySet<string> = new Set([
  'C_BAD_STE',
  'F_STREAM_DISABLED',
  'C_BAD_SUBSTREAMID',
  'C_BAD_CD',
  'F_TRANSLATION',
  'F_ADDR_SIZE',
  'F_ACCESS',
  'F_PERMISSION',
]);

/** One entry of a queue, taken; undefined where it is empty. An overflow is said. */
function pop(
  context: Context,
  driver: DriverState,
  name: 'EVENTQ' | 'PRIQ',
  entryBytes: number,
): readonly bigint[] | undefined {
  const queue = present(driver.queues[name], name);
  if (isEmpty(queue)) {
    const prod = Number(portOf(driver).read(context, driver, `${name}_PROD`));
    if (prod >= OVERFLOW !== queue.prod >= OVERFLOW)
      tell(context, driver, `${name} overflow detected -- events lost`);
    move(context, driver, name, prod, queue.cons);
    if (isEmpty(queue)) return undefined;
  }
  const at = queue.cons % 2 ** queue.sizeLog2;
  const words = loadDoublewords(context.state, driver, queue.pa + at * entryBytes, entryBytes / 8);
  const span = 2 ** (queue.sizeLog2 + 1);
  const cons = (queue.cons >= OVERFLOW ? OVERFLOW : 0) + ((pointerOf(queue, queue.cons) + 1) % span);
  putCons(context, driver, name, cons);
  return words;
}

/** The overflow flag is acknowledged when all is read. */
function acknowledgeOverflow(context: Context, driver: DriverState, name: 'EVENTQ' | 'PRIQ'): void {
  const { prod, cons } = present(driver.queues[name], name);
  if (prod >= OVERFLOW === cons >= OVERFLOW) return;
  putCons(context, driver, name, (cons % OVERFLOW) + (prod >= OVERFLOW ? OVERFLOW : 0));
}

function putCons(context: Context, driver: DriverState, name: 'EVENTQ' | 'PRIQ', cons: number): void {
  move(context, driver, name, present(driver.queues[name], name).prod, cons);
  portOf(driver).write(context, driver, `${name}_CONS`, BigInt(cons));
}

function move(
  { emit }: Context,
  driver: DriverState,
  queue: 'EVENTQ' | 'PRIQ',
  prod: number,
  cons: number,
): void {
  emit(driver.setup.actor, { type: 'queue.moved', driver: driver.name, queue, prod, cons });
}

function pointerOf({ sizeLog2 }: DriverQueue, value: number): number {
  return value % 2 ** (sizeLog2 + 1);
}

function isEmpty(queue: DriverQueue): boolean {
  return pointerOf(queue, queue.prod) === pointerOf(queue, queue.cons);
}

export const evtqRow: FrameRow<QueueFrame> = {
  run: (context, frame) => {
    const driver = driverOf(context.state, frame.driver);
    const words = pop(context, driver, 'EVENTQ', 32);
    if (words === undefined) return acknowledgeOverflow(context, driver, 'EVENTQ');
    return [...handleRecord(context, driver, words), frame];
  },
};

function handleRecord(context: Context, driver: DriverState, words: readonly bigint[]): readonly Frame[] {
  const [first = 0n] = words;
  const name = eventRecordByNumber(Number(first & 0xffn))?.name ?? `event 0x${(first & 0xffn).toString(16)}`;
  const master = masterOfStream(driver, Number(first >> 32n));
  const print = (): readonly Frame[] => {
    tell(context, driver, 'event', `${name} ${words.map((word) => `0x${word.toString(16)}`).join(' ')}`);
    return [];
  };
  if (!HANDLED.has(name) || master === undefined) return print();
  const flat = words.flatMap((word) => [Number(word & 0xffff_ffffn), Number(word >> 32n)]);
  const { Stall, S2, STAG, SSV, SubstreamID, InputAddr, RnW, InD, PnU, StreamID } = decode(
    eventRecords.F_TRANSLATION.layout,
    flat,
  );
  const { endpoint, vmaster } = master;
  if (Stall) {
    const ssid = SSV ? { ssid: SubstreamID } : {};
    const attached = master.attached[SSV ? SubstreamID : 0] ?? 'blocked';
    const about = { driver: driver.name, endpoint, streamId: StreamID, attached, stag: STAG, ...ssid };
    return [{ do: 'page.fault', ...about, iova: InputAddr, write: !RnW, execute: InD, privileged: PnU }];
  }
  if (vmaster === undefined || S2) return print();
  return [{ do: 'vevent.deliver', driver: driver.name, endpoint, vmaster, words }];
}

function masterOfStream({ masters }: DriverState, sid: number): Master | undefined {
  return Object.values(masters).find(({ streams }) => streams.includes(sid));
}

/** Frames that answer a stalled access; nobody waits for the command. */
export function resumeFrame(driver: string, streamId: number, stag: number, retry: boolean): Frame {
  // Ac=1 retries; Ac=0, Ab=1 ends it with an abort.
  return issue(driver, [cmdOf('CMD_RESUME', { StreamID: streamId, STAG: stag, Ac: retry, Ab: !retry })]);
}

/** Every Page Request is unexpected; the last of a group is refused. */
export const priqRow: FrameRow<QueueFrame> = {
  run: (context, frame) => {
    const driver = driverOf(context.state, frame.driver);
    const words = pop(context, driver, 'PRIQ', 16);
    if (words === undefined) return acknowledgeOverflow(context, driver, 'PRIQ');
    const [lo = 0n, hi = 0n] = words;
    const request = decode(PRI_ENTRY, wordsOfCmd([lo, hi]));
    const { StreamID, SSV, SubstreamID, PRGIndex, Last, PageAddr } = request;
    tell(
      context,
      driver,
      'unexpected PRI request',
      `sid 0x${StreamID.toString(16)} 0x${PageAddr.toString(16)}`,
    );
    if (!Last) return [frame];
    const pasid = SSV ? { SSV, SubstreamID } : {};
    const deny = cmdOf('CMD_PRI_RESP', { StreamID, ...pasid, PRGIndex, Resp: 'RESPONSE_FAILURE' });
    return [issue(driver.name, [deny]), frame];
  },
};
