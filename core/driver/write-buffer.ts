/** Descriptors that stand side by side are one store, as far as a page of them. */
import type { Context } from '../machine.ts';
import { portOf, storeDoublewords } from './port.ts';
import type { DriverState } from './state.ts';

export interface WriteBuffer {
  /** What stands at `pa`, or waits to be stored there. */
  read(pa: number): bigint;
  put(pa: number, value: bigint): void;
  /** Stores what waits. */
  flush(): void;
}

const PAGE = 0x1_0000;

/** A buffer for the stores of one piece of work. */
export function openBuffer(context: Context, driver: DriverState): WriteBuffer {
  const port = portOf(driver);
  let from = 0;
  let values: bigint[] = [];
  const flush = (): void => {
    if (values.length === 0) return;
    storeDoublewords(context, driver, from, values);
    values = [];
  };
  return {
    flush,
    read: (pa) => {
      const waiting = values[(pa - from) / 8];
      return waiting ?? port.load64(context.state, pa, driver);
    },
    put: (pa, value) => {
      const follows = pa === from + values.length * 8 && Math.floor(pa / PAGE) === Math.floor(from / PAGE);
      if (values.length > 0 && !follows) flush();
      if (values.length === 0) from = pa;
      values.push(value);
    },
  };
}
