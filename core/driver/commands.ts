/** Commands as the driver keeps them: two doublewords, as they stand in the queue (IHI 0070 chapter 4). */
import { present } from '../assert.ts';
import type { Words } from '../layout/field.ts';
import { decode } from '../layout/layout.ts';
import { putDoubleword, quad, wide } from '../layout/words.ts';
import {
  type CommandFields,
  type CommandLayout,
  type CommandName,
  commandLayouts,
  encodeCommand,
} from '../smmu/command-layout.ts';

export type Cmd = readonly [lo: bigint, hi: bigint];

/** A command from its fields. */
export function cmdOf<N extends CommandName>(
  name: N,
  fields: Partial<Omit<CommandFields<N>, 'Opcode'>> = {},
): Cmd {
  const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = encodeCommand(name, fields);
  return [wide(w1, w0), wide(w3, w2)];
}

/** The four words of a command. */
export function wordsOfCmd([lo, hi]: Cmd): Words {
  return quad(lo, hi);
}

/** The fields of a command, read as that of a name. */
export function fieldsOf<N extends CommandName>(command: Cmd, name: N): CommandFields<N> {
  const { layout: of }: CommandLayout = commandLayouts[name];
  return decode(of, wordsOfCmd(command)) as unknown as CommandFields<N>;
}

/** The bytes of commands, as they are stored into the queue. */
export function bytesOfCmds(commands: readonly Cmd[]): Uint8Array {
  const bytes = new Uint8Array(commands.length * 16);
  for (let index = 0; index < commands.length; index += 1) {
    const [lo, hi] = present(commands[index], 'command');
    putDoubleword(bytes, index * 16, lo);
    putDoubleword(bytes, index * 16 + 8, hi);
  }
  return bytes;
}

/** Doublewords in memory order. */
export function bytesOfDoublewords(values: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  for (let at = 0; at < values.length; at += 1) putDoubleword(bytes, at * 8, values[at] ?? 0n);
  return bytes;
}

/** The doublewords of a structure. */
export function doublewords(words: Words): readonly bigint[] {
  const out: bigint[] = [];
  for (let at = 0; at < words.length; at += 2) out.push(wide(words[at + 1] ?? 0, words[at] ?? 0));
  return out;
}
