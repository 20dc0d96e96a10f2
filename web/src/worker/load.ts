// Streams tensors from files into the core. Work is cut into units and every
// thread takes the next one from a shared cursor, largest first, so that all
// end at about the same time whatever a machine's threads are worth. It knows
// tensors as byte ranges only.

import type { Core } from '../core/core';
import { SlmError } from '../core/error';
import type { Model, TensorFacts } from '../core/model';
import type { LoadUnit } from './protocol';

/** Staging memory of all threads together. Reads below 8 MB cost speed, larger ones gain little. */
const STAGING_BYTES = 16 * 1024 * 1024;
const MAX_PIECE = 8 * 1024 * 1024;
const MIN_PIECE = 2 * 1024 * 1024;
/** Tensors further apart than their alignment are not read together. */
const MAX_GAP = 4096;
const FIRST_HEADER_READ = 1024 * 1024;

export function pieceBytesFor(threads: number): number {
  return Math.min(MAX_PIECE, Math.max(MIN_PIECE, Math.floor(STAGING_BYTES / threads)));
}

/** Bytes of one file, as synchronously as only a worker can. */
function read(file: Blob, start: number, end: number): Uint8Array {
  try {
    return new Uint8Array(new FileReaderSync().readAsArrayBuffer(file.slice(start, end)));
  } catch (error) {
    throw new SlmError(
      'bad_file',
      `Expected to read bytes ${start} to ${end} of the stored model, found them gone (${String(error)}); reload the page to fetch it again.`,
      { cause: error },
    );
  }
}

export function readHeaders(model: Model, files: readonly Blob[]): void {
  for (const file of files) {
    for (let n = Math.min(FIRST_HEADER_READ, file.size); !model.header(read(file, 0, n), file.size); )
      n = Math.min(n * 2, file.size);
  }
}

export function planUnits(tensors: readonly TensorFacts[], pieceBytes: number): LoadUnit[] {
  const order = tensors
    .map((tensor, index) => ({ ...tensor, index }))
    .sort((a, b) => a.file - b.file || a.offset - b.offset);
  const units: { file: number; offset: number; size: number; tensors: (typeof order)[number][] }[] = [];
  for (const tensor of order) {
    const last = units.at(-1);
    const end = last === undefined ? 0 : last.offset + last.size;
    const gap = tensor.offset - end;
    const joins =
      last !== undefined &&
      last.file === tensor.file &&
      gap >= 0 &&
      gap <= MAX_GAP &&
      tensor.offset + tensor.size - last.offset <= pieceBytes;
    if (joins) {
      last.tensors.push(tensor);
      last.size = tensor.offset + tensor.size - last.offset;
    } else {
      units.push({ file: tensor.file, offset: tensor.offset, size: tensor.size, tensors: [tensor] });
    }
  }
  return units
    .sort((a, b) => b.size - a.size)
    .map((unit) => ({
      ...unit,
      tensors: unit.tensors.map(({ index, offset, size, granule }) => ({ index, offset, size, granule })),
    }));
}

/** Feeds units until none is left; yields the bytes of each piece. */
export function* feedUnits(
  model: Model,
  files: readonly Blob[],
  units: readonly LoadUnit[],
  cursor: number,
  staging: number,
  pieceBytes: number,
): Generator<number> {
  for (let i = takeNext(model.core, cursor); i < units.length; i = takeNext(model.core, cursor)) {
    const unit = units[i]!;
    const file = files[unit.file]!;
    if (unit.size <= pieceBytes) {
      model.core.bytes(staging, unit.size).set(read(file, unit.offset, unit.offset + unit.size));
      for (const tensor of unit.tensors)
        model.feed(tensor.index, 0, staging + tensor.offset - unit.offset, tensor.size);
      yield unit.size;
      continue;
    }
    const [tensor] = unit.tensors;
    const step = Math.max(1, Math.floor(pieceBytes / tensor!.granule)) * tensor!.granule;
    if (step > pieceBytes)
      throw new SlmError(
        'unsupported',
        `Expected rows of at most ${pieceBytes} bytes, found a granule of ${step}; this model cannot be loaded here.`,
      );
    for (let offset = 0; offset < unit.size; offset += step) {
      const n = Math.min(step, unit.size - offset);
      model.core.bytes(staging, n).set(read(file, unit.offset + offset, unit.offset + offset + n));
      model.feed(tensor!.index, offset, staging, n);
      yield n;
    }
  }
}

function takeNext(core: Core, cursor: number): number {
  const bytes = core.bytes(cursor, 4);
  return Atomics.add(new Int32Array(bytes.buffer, bytes.byteOffset, 1), 0, 1);
}
