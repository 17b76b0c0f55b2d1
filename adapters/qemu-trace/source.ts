/**
 * The bytes of a trace file, plain or gzip, as lines of text: read and inflated block by block, so
 * that memory stays flat. A gzip file that ends early or is damaged gives all that came before.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { createGunzip, type Gunzip } from 'node:zlib';
import { InputError } from '../input-error.ts';

const BLOCK_BYTES = 64 * 1024;
/** Compressed blocks are smaller: one may inflate a thousandfold. */
const GZIP_BLOCK_BYTES = 32 * 1024;
const INFLATED_CHUNK_BYTES = 256 * 1024;
/** A longer line is no line of a trace. */
const LINE_BYTES_MAX = 1024 * 1024;
const HEAD_BYTES = 64 * 1024;

/** What names a file, to know it again. */
export interface FileIdentity {
  readonly bytes: number;
  /** SHA-256 of the first 64 KiB, hexadecimal. */
  readonly head: string;
}

/** Text with whole lines, the last one without its newline only at the end of the file. */
export interface TextBlock {
  readonly text: string;
  /** Bytes of the file read so far. */
  readonly bytes: number;
}

/** How the reading ended. */
export interface SourceEnd {
  /** Why it stopped before the end of what the file should hold. */
  damage?: string;
}

/** Size and digest; throws InputError for what cannot be a trace: no file, empty, binary. */
export async function identify(file: string): Promise<FileIdentity> {
  const head = Buffer.alloc(HEAD_BYTES);
  const handle = await openFile(file);
  try {
    const { size } = await handle.stat();
    const { bytesRead } = await handle.read(head, 0, HEAD_BYTES, 0).catch((error: unknown) => {
      throw new InputError(messageOf(error), { file });
    });
    const first = head.subarray(0, bytesRead);
    if (bytesRead === 0) throw new InputError('the file is empty', { file });
    if (!isGzip(first) && first.includes(0))
      throw new InputError('not a trace: the file is binary', { file });
    return { bytes: size, head: createHash('sha256').update(first).digest('hex') };
  } finally {
    await handle.close();
  }
}

/** The text of the file; `end` is filled in when it is through. */
export async function* readText(file: string, end: SourceEnd): AsyncGenerator<TextBlock> {
  let kept = '';
  let bytes = 0;
  for await (const block of readPlain(file, end)) {
    bytes = block.bytes;
    const text = kept + block.chunks.map((chunk) => chunk.toString('latin1')).join('');
    const cut = text.lastIndexOf('\n') + 1;
    kept = text.slice(cut);
    if (kept.length > LINE_BYTES_MAX) throw new InputError('not a trace: a line of over 1 MiB', { file });
    if (cut > 0) yield { text: text.slice(0, cut), bytes };
  }
  // The line at which a damaged file breaks off is not whole, and not taken.
  if (kept !== '' && end.damage === undefined) yield { text: kept, bytes };
}

interface PlainBlock {
  readonly chunks: readonly Buffer[];
  readonly bytes: number;
}

async function* readPlain(file: string, end: SourceEnd): AsyncGenerator<PlainBlock> {
  const handle = await openFile(file);
  try {
    const magic = Buffer.alloc(2);
    await handle.read(magic, 0, 2, 0);
    const inflater = isGzip(magic) ? new Inflater() : undefined;
    const block = Buffer.alloc(inflater === undefined ? BLOCK_BYTES : GZIP_BLOCK_BYTES);
    let at = 0;
    for (;;) {
      const { bytesRead } = await handle.read(block, 0, block.length, at);
      at += bytesRead;
      if (bytesRead === 0) break;
      const data = block.subarray(0, bytesRead);
      yield { chunks: inflater === undefined ? [data] : await inflater.put(Buffer.from(data)), bytes: at };
      if (inflater?.failure !== undefined) break;
    }
    if (inflater === undefined) return;
    yield { chunks: await inflater.finish(), bytes: at };
    if (inflater.failure !== undefined) end.damage = inflater.failure;
  } finally {
    await handle.close();
  }
}

/**
 * Inflates what it is given at once: the stream flows and is never paused, so nothing waits inside
 * it, and nothing is lost when it fails.
 */
class Inflater {
  readonly #gunzip: Gunzip = createGunzip({ chunkSize: INFLATED_CHUNK_BYTES });
  #chunks: Buffer[] = [];
  failure: string | undefined;

  constructor() {
    this.#gunzip.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    this.#gunzip.on('error', (error: Error) => {
      this.failure ??= /unexpected end/.test(error.message)
        ? 'the file ends early'
        : `the file is damaged (${error.message})`;
    });
  }

  put(data: Buffer): Promise<readonly Buffer[]> {
    return this.#wait((done) => this.#gunzip.write(data, done));
  }

  async finish(): Promise<readonly Buffer[]> {
    if (this.failure !== undefined) return [];
    return this.#wait((done) => {
      this.#gunzip.once('end', done);
      this.#gunzip.end();
    });
  }

  #wait(work: (done: () => void) => void): Promise<readonly Buffer[]> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#gunzip.off('error', done);
        const chunks = this.#chunks;
        this.#chunks = [];
        resolve(chunks);
      };
      this.#gunzip.once('error', done);
      work(done);
    });
  }
}

function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

async function openFile(file: string): Promise<Awaited<ReturnType<typeof open>>> {
  try {
    return await open(file, 'r');
  } catch (error) {
    const code = (error as { code?: string }).code;
    throw new InputError(code === 'ENOENT' ? 'no such file' : messageOf(error), { file });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
