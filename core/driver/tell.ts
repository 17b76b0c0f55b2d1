/** A frame that only says something: what it carries goes into the kernel's log. */
import type { Frame, FrameRow } from '../tasks/task.ts';
import { driverOf, tell } from './port.ts';

export interface TellFrame extends Frame {
  readonly do: 'driver.tell';
  readonly driver: string;
  readonly what: string;
}

export const tellRow: FrameRow<TellFrame> = {
  run: (context, { do: _, driver, what, ...rest }) => {
    const said = Object.entries(rest).map(([name, value]) => `${name}=${String(value)}`);
    tell(context, driverOf(context.state, driver), what, said.join(' '));
  },
};
