// Streams tensors from files into the core. Work is cut into units of one read
// each, and every thread takes the next one from a shared cursor, largest first,
// so that all end at about the same time whatever a machine's threads are worth;
// while it packs one, the browser reads its next. It knows tensors as byte
// ranges only.

import type { Core } from '../core/core';
import { SlmError } from '../core/error';
import type { Model, TensorFacts } from '../core/model';
import type { LoadPiece, LoadUnit } from './protocol';

/** Staging memory of all threads together. Smaller reads cost speed; larger ones leave threads without work at the end. */
const STAGING_BYTES = 16 * 1024 * 1024;
const MAX_PIECE = 4 * 1024 * 1024;
const MIN_PIECE = 2 * 1024 * 1024;
/** Tensors further apart than their alignment are not read together. */
const MAX_GAP = 4096;
const FIRST_HEADER_READ = 1024 * 1024;

export function pieceBytesFor(threads: number): number {
  return Math.min(MAX_PIECE, Math.max(MIN_PIECE, Math.floor(STAGING_BYTES / threads)));
}

function gone(start: number, end: number, error: unknown): SlmError {
  return new SlmError(
    'bad_file',
    `Expected to read bytes ${start} to ${end} of the stored model, found them gone (${String(error)}); reload the page to fetch it again.`,
    { cause: error },
  );
}

/** Bytes of one file, as synchronously as only a worker can. */
function read(file: Blob, start: number, end: number): Uint8Array {
  try {
    return new Uint8Array(new FileReaderSync().readAsArrayBuffer(file.slice(start, end)));
  } catch (error) {
    throw gone(start, end, error);
  }
}

/** The same where a turn of the event loop may pass. */
export async function readLater(file: Blob, start: number, end: number): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.slice(start, end).arrayBuffer());
  } catch (error) {
    throw gone(start, end, error);
  }
}

/** A model or what lies beside it, as far as loading is concerned. */
export type Loadable = Pick<Model, 'core' | 'header' | 'feed'>;

export function readHeaders(model: Loadable, files: readonly Blob[]): void {
  for (const file of files) {
    for (let n = Math.min(FIRST_HEADER_READ, file.size); !model.header(read(file, 0, n), file.size); )
      n = Math.min(n * 2, file.size);
  }
}

export function planUnits(tensors: readonly TensorFacts[], pieceBytes: number): LoadUnit[] {
  const order = tensors
    .map((tensor, index) => ({ ...tensor, index }))
    .filter(({ granule }) => granule > 0) // the others are not loaded
    .sort((a, b) => a.file - b.file || a.offset - b.offset);
  const units: { file: number; offset: number; size: number; pieces: LoadPiece[] }[] = [];
  for (const { index, file, offset, size, granule } of order) {
    const last = units.at(-1);
    const gap = last === undefined ? 0 : offset - last.offset - last.size;
    const joins =
      last !== undefined &&
      last.file === file &&
      gap >= 0 &&
      gap <= MAX_GAP &&
      offset + size - last.offset <= pieceBytes;
    if (joins) {
      last.pieces.push({ tensor: index, at: 0, offset: offset - last.offset, size });
      last.size = offset + size - last.offset;
      continue;
    }
    const step = Math.floor(pieceBytes / granule) * granule;
    if (step === 0)
      throw new SlmError(
        'unsupported',
        `Expected rows of at most ${pieceBytes} bytes, found a granule of ${granule}; this model cannot be loaded here.`,
      );
    for (let at = 0; at < size; at += step) {
      const n = Math.min(step, size - at);
      units.push({ file, offset: offset + at, size: n, pieces: [{ tensor: index, at, offset: 0, size: n }] });
    }
  }
  return units.sort((a, b) => b.size - a.size);
}

/** Feeds units until none is left; yields the bytes of each. */
export async function* feedUnits(
  model: Loadable,
  files: readonly Blob[],
  units: readonly LoadUnit[],
  cursor: number,
  staging: number,
): AsyncGenerator<number> {
  const next = () => {
    const unit = units[takeNext(model.core, cursor)];
    if (unit === undefined) return null;
    const end = unit.offset + unit.size;
    const bytes = readLater(files[unit.file]!, unit.offset, end);
    // Whoever awaits it handles a failure; until then it must not count as unhandled.
    bytes.catch(() => undefined);
    return { unit, bytes };
  };
  for (let ahead = next(); ahead !== null; ) {
    const { unit, bytes } = ahead;
    const buffer = await bytes;
    ahead = next();
    model.core.bytes(staging, unit.size).set(buffer);
    for (const piece of unit.pieces) model.feed(piece.tensor, piece.at, staging + piece.offset, piece.size);
    yield unit.size;
  }
}

function takeNext(core: Core, cursor: number): number {
  const bytes = core.bytes(cursor, 4);
  return Atomics.add(new Int32Array(bytes.buffer, bytes.byteOffset, 1), 0, 1);
}
