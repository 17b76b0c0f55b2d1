/** What a stimulus of a VM came to: said at once, or by the last frame of its task. */
import type { Context } from '../machine.ts';
import { beginTask } from '../tasks/begin.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';

/** Says at once what the stimulus came to. */
export function answer(
  { state, emit }: Context,
  vm: string,
  told: { readonly errno?: string; readonly refused?: string },
): void {
  emit(vm, { type: 'vm.answered', vm, about: state.outside, ...told });
}

/** A task that answers when it is done. */
export function later(
  context: Context,
  unit: string,
  what: string,
  frames: readonly Frame[],
  vm: string,
): void {
  const end = { do: 'vm.answer', vm, about: context.state.outside };
  beginTask(context, unit, what, [...frames, end]);
}

/** What else an answer says. */
export type AnswerValue = Readonly<Record<string, unknown>>;

interface AnswerFrame extends Frame {
  readonly vm: string;
  readonly about: number;
  readonly refused?: string;
  readonly errno?: string;
  readonly value?: AnswerValue;
}

export const answerRow: FrameRow<AnswerFrame> = {
  run: ({ emit }, { vm, about, refused, errno, value }) => {
    const told = {
      ...(refused === undefined ? {} : { refused }),
      ...(errno === undefined ? {} : { errno }),
      ...(value === undefined ? {} : { value }),
    };
    emit(vm, { type: 'vm.answered', vm, about, ...told });
  },
};
