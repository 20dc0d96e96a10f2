// Where the tensors of a measured model come from, piece by piece: a GGUF file, or
// random blocks under a header that has no file. Nothing is held but one piece.

import { openSync, readSync } from 'node:fs';
import type { Model, TensorFacts } from '../../../web/src/core/model';

const PIECE_BYTES = 4 << 20;
const FIRST_HEADER_READ = 1 << 20;

/** Of a block: its bytes, where its float16 factors are, and what a weight is about as large as when the
 *  first of them is one. A second factor, of the minima, is to make the mean zero. */
interface Block {
  readonly bytes: number;
  readonly factors: readonly { readonly at: number; readonly relative: number }[];
  readonly size: number;
}
const BLOCKS: Readonly<Record<string, Block>> = {
  Q4_0: { bytes: 18, factors: [{ at: 0, relative: 1 }], size: 4.6 },
  Q5_0: { bytes: 22, factors: [{ at: 0, relative: 1 }], size: 9.2 },
  Q8_0: { bytes: 34, factors: [{ at: 0, relative: 1 }], size: 74 },
  Q4_K: {
    bytes: 144,
    factors: [
      { at: 0, relative: 1 },
      { at: 2, relative: 7.5 },
    ],
    size: 280,
  },
};

export interface Source {
  /** The file, or as much of it as there is; the size is that of the whole. */
  readonly path: string;
  readonly size: number;
  /** The file holds nothing but the header. */
  readonly random: boolean;
}

export class Weights {
  readonly #file: number;
  readonly #source: Source;
  /** Of each type and width one piece, used again and again. */
  readonly #pieces = new Map<string, Uint8Array>();

  constructor(source: Source) {
    this.#source = source;
    this.#file = openSync(source.path, 'r');
  }

  header(model: Model): void {
    for (let n = FIRST_HEADER_READ; ; n *= 2) {
      const bytes = new Uint8Array(n);
      const found = readSync(this.#file, bytes, 0, n, 0);
      if (model.header(bytes.subarray(0, found), this.#source.size)) return;
      if (found < n) throw new Error(`expected a whole header in ${this.#source.path}, found ${found} bytes`);
    }
  }

  async feed(model: Model): Promise<void> {
    const { core } = model;
    const { tensors } = model.describe();
    const most = Math.max(PIECE_BYTES, ...tensors.map(({ granule }) => granule));
    const staging = core.alloc(most);
    for (const [index, tensor] of tensors.entries()) {
      const step = Math.floor(most / tensor.granule) * tensor.granule;
      for (let at = 0; at < tensor.size; at += step) {
        const n = Math.min(step, tensor.size - at);
        this.#read(tensor, at, core.bytes(staging, n));
        model.feed(index, at, staging, n);
        await core.settle(); // the device keeps up, or its queue would hold the model
      }
    }
    core.free(staging);
    model.ready();
    await core.settle();
  }

  #read(tensor: TensorFacts, at: number, into: Uint8Array): void {
    if (this.#source.random) into.set(this.#piece(tensor, into.length));
    else if (readSync(this.#file, into, 0, into.length, tensor.offset + at) !== into.length)
      throw new Error(`expected ${into.length} bytes of ${tensor.name}, found the file at its end`);
  }

  #piece({ type, shape }: TensorFacts, n: number): Uint8Array {
    const columns = shape[0]!;
    const key = `${type} ${columns}`;
    let piece = this.#pieces.get(key);
    if (piece === undefined || piece.length < n) {
      piece = type === 'F32' ? ones(n) : random(type, columns, n);
      this.#pieces.set(key, piece);
    }
    return piece.subarray(0, n);
  }
}

function ones(bytes: number): Uint8Array {
  return new Uint8Array(new Float32Array(bytes / 4).fill(1).buffer);
}

/** Blocks of a type whose products with a normalized row are about as large as its elements. */
function random(type: string, columns: number, bytes: number): Uint8Array {
  const block = BLOCKS[type];
  if (block === undefined) throw new Error(`expected one of ${Object.keys(BLOCKS)}, found ${type}`);
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  const filled = new Uint8Array(words.buffer, 0, bytes);
  const view = new DataView(filled.buffer);
  const factor = 1 / (block.size * Math.sqrt(columns));
  for (let at = 0; at < bytes; at += block.bytes)
    for (const { at: inside, relative } of block.factors)
      view.setUint16(at + inside, half(relative * factor), true);
  return filled;
}

/** The bits of a positive float16 near `value`, which is small. */
function half(value: number): number {
  const exponent = Math.floor(Math.log2(value));
  if (exponent < -14) return Math.round(value * 2 ** 24);
  return ((exponent + 15) << 10) + Math.round((value / 2 ** exponent - 1) * 1024);
}
