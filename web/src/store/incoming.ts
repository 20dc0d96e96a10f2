// Where a file of unknown hash goes while it arrives: in OPFS as `incoming` (the
// further files of a split set as `incoming-2` and so on), beside a note of where
// it comes from, or in memory. It gets its final name, its SHA-256, when it is
// whole and proved; until then nothing opens it.

import { Reader } from '../core/check';
import { entryOf, openSync, rename, replaceFile, textOf, writeAll } from './opfs';

const dataName = (index: number) => (index === 0 ? 'incoming' : `incoming-${index + 1}`);
const noteName = (index: number) => `${dataName(index)}.note`;

/** Where the bytes come from, and what tells one state of that file from another. */
export interface Origin {
  readonly url: string;
  /** ETag or Last-Modified; null where the server shows neither, and nothing can be continued. */
  readonly validator: string | null;
}

export interface Incoming {
  readonly size: number;
  /** What has arrived is of this origin; null when nothing has. */
  readonly origin: Origin | null;
  /** Forgets what has arrived. Throws QuotaExceededError where there is no room for `size` bytes. */
  begin(origin: Origin, size: number): Promise<void>;
  /** Forgets what lies beyond the first `size` bytes. */
  keep(size: number): void;
  append(bytes: Uint8Array<ArrayBuffer>): void;
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

const reader = new Reader('A note of the store', 'bad_manifest');

export class OpfsIncoming implements Incoming {
  readonly #directory: FileSystemDirectoryHandle;
  readonly #index: number;
  readonly #data: FileSystemSyncAccessHandle;
  #origin: Origin | null;
  #size: number;
  #open = true;

  private constructor(
    directory: FileSystemDirectoryHandle,
    index: number,
    data: FileSystemSyncAccessHandle,
    origin: Origin | null,
  ) {
    this.#directory = directory;
    this.#index = index;
    this.#data = data;
    this.#origin = origin;
    this.#size = origin === null ? 0 : data.getSize();
  }

  /** `index`: its place among the files of the model. */
  static async open(directory: FileSystemDirectoryHandle, index: number): Promise<OpfsIncoming> {
    const origin = await readNote(directory, index);
    const data = await directory.getFileHandle(dataName(index), { create: true });
    return new OpfsIncoming(directory, index, await openSync(data), origin);
  }

  get size(): number {
    return this.#size;
  }

  get origin(): Origin | null {
    return this.#origin;
  }

  // The note last: bytes without one are never continued.
  async begin(origin: Origin, size: number): Promise<void> {
    this.#origin = null;
    this.#size = 0;
    const note = noteName(this.#index);
    await this.#directory.removeEntry(note).catch(() => undefined);
    // Some browsers report room that they do not grant: better to hear of it now than near the end.
    this.#data.truncate(size);
    this.#data.truncate(0);
    await replaceFile(this.#directory, note, JSON.stringify(origin));
    this.#origin = origin;
  }

  keep(size: number): void {
    this.#size = size;
  }

  append(bytes: Uint8Array<ArrayBuffer>): void {
    writeAll(this.#data, bytes, this.#size);
    this.#size += bytes.length;
  }

  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(end - start);
    this.#data.read(bytes, { at: start });
    return bytes;
  }

  /** Gives the whole file its final name. */
  async finish(sha256: string): Promise<void> {
    this.#data.truncate(this.#size);
    this.#data.flush();
    this.close();
    await rename(await this.#directory.getFileHandle(dataName(this.#index)), sha256);
    await this.#directory.removeEntry(noteName(this.#index)).catch(() => undefined);
  }

  close(): void {
    if (this.#open) this.#data.close();
    this.#open = false;
  }

  /** Forgets it all: it can never become a model, or there is no room for it. */
  async remove(): Promise<void> {
    this.close();
    for (const name of [noteName(this.#index), dataName(this.#index)])
      await this.#directory.removeEntry(name).catch(() => undefined);
  }
}

async function readNote(directory: FileSystemDirectoryHandle, index: number): Promise<Origin | null> {
  const text = await textOf(directory, noteName(index));
  if (text === null || (await entryOf(directory, dataName(index))) === null) return null;
  try {
    const note = reader.object(reader.parse(text), 'the whole');
    return { url: reader.text(note.url, 'url'), validator: reader.optionalText(note.validator, 'validator') };
  } catch {
    return null; // then it begins again
  }
}

export class MemoryIncoming implements Incoming {
  #blob: Blob;
  #origin: Origin | null = null;
  #parts: Uint8Array<ArrayBuffer>[] = [];
  #loose = 0;

  constructor(blob = new Blob()) {
    this.#blob = blob;
  }

  get size(): number {
    return this.#blob.size + this.#loose;
  }

  get origin(): Origin | null {
    return this.#origin;
  }

  async begin(origin: Origin): Promise<void> {
    this.#blob = new Blob();
    this.#parts = [];
    this.#loose = 0;
    this.#origin = origin;
  }

  keep(size: number): void {
    this.#blob = this.blob().slice(0, size);
  }

  // A Blob leaves the script's heap, and the browser may put it on disk.
  append(bytes: Uint8Array<ArrayBuffer>): void {
    this.#parts.push(bytes);
    this.#loose += bytes.length;
    if (this.#loose > 16 * 1024 * 1024) this.blob();
  }

  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await this.blob().slice(start, end).arrayBuffer());
  }

  blob(): Blob {
    if (this.#parts.length > 0) this.#blob = new Blob([this.#blob, ...this.#parts]);
    this.#parts = [];
    this.#loose = 0;
    return this.#blob;
  }
}
