// Where the bytes of one file go while its chunks arrive. download.ts writes to
// this interface only; opfs.ts keeps the bytes on the device, MemorySink keeps
// them for this visit.

import type { ManifestFile } from '../api/types';

export interface ChunkSink {
  readonly file: ManifestFile;
  isVerified(chunk: number): boolean;
  /** Bytes of an unverified chunk that are there, from its start. */
  received(chunk: number): number;
  /** Appends to a chunk. */
  append(chunk: number, bytes: Uint8Array<ArrayBuffer>): void;
  /** A whole chunk, to be hashed. */
  read(chunk: number): Uint8Array<ArrayBuffer>;
  verified(chunk: number): void;
  /** Forgets what came of a chunk. */
  discard(chunk: number): void;
}

export class MemorySink implements ChunkSink {
  readonly file: ManifestFile;
  readonly #parts: { bytes: Uint8Array<ArrayBuffer> | null; received: number; blob: Blob | null }[];

  constructor(file: ManifestFile) {
    this.file = file;
    this.#parts = file.chunks.map(() => ({ bytes: null, received: 0, blob: null }));
  }

  isVerified(chunk: number): boolean {
    return this.#parts[chunk]!.blob !== null;
  }

  received(chunk: number): number {
    return this.#parts[chunk]!.received;
  }

  append(chunk: number, bytes: Uint8Array): void {
    const part = this.#parts[chunk]!;
    part.bytes ??= new Uint8Array(this.file.chunks[chunk]!.size);
    part.bytes.set(bytes, part.received);
    part.received += bytes.length;
  }

  read(chunk: number): Uint8Array<ArrayBuffer> {
    return this.#parts[chunk]!.bytes!;
  }

  // A Blob leaves the script's heap, and the browser may put it on disk.
  verified(chunk: number): void {
    const part = this.#parts[chunk]!;
    part.blob = new Blob([part.bytes!]);
    part.bytes = null;
  }

  discard(chunk: number): void {
    this.#parts[chunk]!.received = 0;
  }

  blob(): Blob {
    return new Blob(this.#parts.map((part) => part.blob!));
  }
}
