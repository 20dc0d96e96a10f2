// Where a file of unknown hash goes while it arrives: in OPFS as `incoming`,
// beside a note of where it comes from, or in memory. It gets its final name,
// its SHA-256, when it is whole and proved; until then nothing opens it.

import { Reader } from '../core/check';
import { entryOf, openSync, rename, replaceFile, textOf, writeAll } from './opfs';

const DATA = 'incoming';
const NOTE = 'incoming.note';

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
  /** Forgets what has arrived. */
  begin(origin: Origin): Promise<void>;
  append(bytes: Uint8Array<ArrayBuffer>): void;
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

const reader = new Reader('A note of the store', 'bad_manifest');

export class OpfsIncoming implements Incoming {
  readonly #directory: FileSystemDirectoryHandle;
  readonly #data: FileSystemSyncAccessHandle;
  #origin: Origin | null;
  #size: number;
  #open = true;

  private constructor(
    directory: FileSystemDirectoryHandle,
    data: FileSystemSyncAccessHandle,
    origin: Origin | null,
  ) {
    this.#directory = directory;
    this.#data = data;
    this.#origin = origin;
    this.#size = origin === null ? 0 : data.getSize();
  }

  static async open(directory: FileSystemDirectoryHandle): Promise<OpfsIncoming> {
    const origin = await readNote(directory);
    return new OpfsIncoming(
      directory,
      await openSync(await directory.getFileHandle(DATA, { create: true })),
      origin,
    );
  }

  get size(): number {
    return this.#size;
  }

  get origin(): Origin | null {
    return this.#origin;
  }

  // The note last: bytes without one are never continued.
  async begin(origin: Origin): Promise<void> {
    this.#origin = null;
    await this.#directory.removeEntry(NOTE).catch(() => undefined);
    this.#data.truncate(0);
    this.#size = 0;
    await replaceFile(this.#directory, NOTE, JSON.stringify(origin));
    this.#origin = origin;
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
    this.#data.flush();
    this.close();
    await rename(await this.#directory.getFileHandle(DATA), sha256);
    await this.#directory.removeEntry(NOTE).catch(() => undefined);
  }

  close(): void {
    if (this.#open) this.#data.close();
    this.#open = false;
  }

  /** Forgets it all: it can never become a model, or there is no room for it. */
  async remove(): Promise<void> {
    this.close();
    for (const name of [NOTE, DATA]) await this.#directory.removeEntry(name).catch(() => undefined);
  }
}

async function readNote(directory: FileSystemDirectoryHandle): Promise<Origin | null> {
  const text = await textOf(directory, NOTE);
  if (text === null || (await entryOf(directory, DATA)) === null) return null;
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
