// The files of stored models in the origin private file system: a folder for each
// model, in it the files by their SHA-256 and the records of versions.ts. A file
// is written in place as <sha256>.part beside a journal of what has arrived, and
// takes its final name, <sha256>, only when every chunk is verified; so a final
// name always means a whole file, and nothing writes to it any more: tabs may be
// reading it. Sync handles exist in workers only: pages may import what does not
// need them.

import type { Manifest, ManifestFile } from '../api/types';
import type { ChunkSink } from './sink';

const ROOT = 'slmweb-models';

/** Throws where the browser keeps no files: private windows, insecure pages, old engines. */
export async function modelsDirectory(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(ROOT, { create: true });
}

export async function modelDirectory(name: string): Promise<FileSystemDirectoryHandle> {
  return (await modelsDirectory()).getDirectoryHandle(name, { create: true });
}

/** The name under which tabs take turns on one model. */
export const lockName = (model: string) => `slmweb-store:${model}`;

export async function entryOf(directory: FileSystemDirectoryHandle, name: string): Promise<File | null> {
  try {
    return await (await directory.getFileHandle(name)).getFile();
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return null;
    throw error;
  }
}

/** The text of a small file, or null where there is none. */
export async function textOf(directory: FileSystemDirectoryHandle, name: string): Promise<string | null> {
  for (let attempt = 0; ; attempt++) {
    const file = await entryOf(directory, name);
    try {
      return file === null ? null : await file.text();
    } catch (error) {
      // Another tab has replaced it between the two steps: then there is a new one.
      if (!(error instanceof DOMException) || attempt === 5) throw error;
    }
  }
}

/** The whole files of a model in order, or null while one is missing. */
export async function storedFiles(
  directory: FileSystemDirectoryHandle,
  manifest: Manifest,
): Promise<File[] | null> {
  const files: File[] = [];
  for (const { sha256, size } of manifest.files) {
    const file = await entryOf(directory, sha256);
    if (file === null || file.size !== size) return null;
    files.push(file);
  }
  return files;
}

/** Writes a small file whole or not at all, in a worker. */
export async function replaceFile(
  directory: FileSystemDirectoryHandle,
  name: string,
  text: string,
): Promise<void> {
  const temporary = await directory.getFileHandle(`${name}.new`, { create: true });
  const handle = await openSync(temporary);
  try {
    handle.truncate(0);
    writeAll(handle, new TextEncoder().encode(text), 0);
    handle.flush();
  } finally {
    handle.close();
  }
  await rename(temporary, name);
}

/** A verified chunk; smaller values count the bytes that are there. */
const VERIFIED = 0xffffffff;
/** The journal opens with the SHA-256 of the chunk list it is about. */
const JOURNAL_HEADER = 32;
/** The journal may lag this far behind the data. */
const NOTE_EVERY = 256 * 1024;

export class OpfsSink implements ChunkSink {
  readonly file: ManifestFile;
  readonly #directory: FileSystemDirectoryHandle;
  readonly #data: FileSystemSyncAccessHandle;
  readonly #journal: FileSystemSyncAccessHandle;
  readonly #state: Uint32Array<ArrayBuffer>;
  readonly #noted: Uint32Array<ArrayBuffer>;
  readonly #offsets: number[] = [];
  #open = true;

  private constructor(
    directory: FileSystemDirectoryHandle,
    file: ManifestFile,
    data: FileSystemSyncAccessHandle,
    journal: FileSystemSyncAccessHandle,
    state: Uint32Array<ArrayBuffer>,
  ) {
    this.#directory = directory;
    this.file = file;
    this.#data = data;
    this.#journal = journal;
    this.#state = state;
    this.#noted = state.slice();
    let offset = 0;
    for (const chunk of file.chunks) {
      this.#offsets.push(offset);
      offset += chunk.size;
    }
  }

  /** Opens or continues the download of one file. */
  static async open(directory: FileSystemDirectoryHandle, file: ManifestFile): Promise<OpfsSink> {
    const data = await openSync(await directory.getFileHandle(`${file.sha256}.part`, { create: true }));
    try {
      const journal = await openSync(
        await directory.getFileHandle(`${file.sha256}.journal`, { create: true }),
      );
      try {
        // Claims the whole room now: it is better to fail before the download than near its end.
        if (data.getSize() !== file.size) data.truncate(file.size);
        return new OpfsSink(directory, file, data, journal, await readJournal(journal, file));
      } catch (error) {
        journal.close();
        throw error;
      }
    } catch (error) {
      data.close();
      throw error;
    }
  }

  /** Turns a final file back into a download of which every byte is there and none is trusted. */
  static async reopen(directory: FileSystemDirectoryHandle, file: ManifestFile): Promise<void> {
    await rename(await directory.getFileHandle(file.sha256), `${file.sha256}.part`);
    const journal = await openSync(await directory.getFileHandle(`${file.sha256}.journal`, { create: true }));
    try {
      const sizes = Uint32Array.from(file.chunks, (chunk) => chunk.size);
      writeAll(journal, await chunkListHash(file), 0);
      writeAll(journal, sizes, JOURNAL_HEADER);
      journal.flush();
    } finally {
      journal.close();
    }
  }

  isVerified(chunk: number): boolean {
    return this.#state[chunk] === VERIFIED;
  }

  received(chunk: number): number {
    return this.isVerified(chunk) ? this.file.chunks[chunk]!.size : this.#state[chunk]!;
  }

  append(chunk: number, bytes: Uint8Array<ArrayBuffer>): void {
    const received = this.#state[chunk]!;
    writeAll(this.#data, bytes, this.#offsets[chunk]! + received);
    this.#state[chunk] = received + bytes.length;
    // No flush: if the machine dies and the bytes were not written, the hash will tell.
    if (received + bytes.length - this.#noted[chunk]! >= NOTE_EVERY) this.#note(chunk);
  }

  read(chunk: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.file.chunks[chunk]!.size);
    this.#data.read(bytes, { at: this.#offsets[chunk]! });
    return bytes;
  }

  // The bytes go to the disk before the word that they are good.
  verified(chunk: number): void {
    this.#data.flush();
    this.#state[chunk] = VERIFIED;
    this.#note(chunk);
    this.#journal.flush();
  }

  discard(chunk: number): void {
    this.#state[chunk] = 0;
    this.#note(chunk);
  }

  /** Gives the file its final name. Every chunk must be verified. */
  async finish(): Promise<void> {
    this.close();
    const { sha256 } = this.file;
    await rename(await this.#directory.getFileHandle(`${sha256}.part`), sha256);
    await this.#directory.removeEntry(`${sha256}.journal`);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (let chunk = 0; chunk < this.#state.length; chunk++)
      if (this.#noted[chunk] !== this.#state[chunk]) this.#note(chunk);
    this.#data.close();
    this.#journal.close();
  }

  #note(chunk: number): void {
    this.#noted[chunk] = this.#state[chunk]!;
    writeAll(this.#journal, this.#noted.subarray(chunk, chunk + 1), JOURNAL_HEADER + 4 * chunk);
  }
}

// A journal of another chunk list, or a torn one, is as good as none.
async function readJournal(
  journal: FileSystemSyncAccessHandle,
  file: ManifestFile,
): Promise<Uint32Array<ArrayBuffer>> {
  const state = new Uint32Array(file.chunks.length);
  const hash = await chunkListHash(file);
  const found = new Uint8Array(JOURNAL_HEADER);
  const size = JOURNAL_HEADER + state.byteLength;
  if (journal.getSize() === size) {
    journal.read(found, { at: 0 });
    if (found.every((byte, i) => byte === hash[i])) {
      journal.read(state, { at: JOURNAL_HEADER });
      return state.map((n, i) => (n === VERIFIED || n <= file.chunks[i]!.size ? n : 0));
    }
  }
  journal.truncate(0);
  writeAll(journal, hash, 0);
  writeAll(journal, state, JOURNAL_HEADER);
  return state;
}

/** Bytes of a file that have arrived, whole or not, by its journal, as a page can read it. */
export async function arrivedBytes(
  directory: FileSystemDirectoryHandle,
  file: ManifestFile,
): Promise<number> {
  if ((await entryOf(directory, file.sha256))?.size === file.size) return file.size;
  const journal = await entryOf(directory, `${file.sha256}.journal`);
  const bytes = await journal?.arrayBuffer().catch(() => null); // being written by another tab
  if (!bytes || bytes.byteLength !== JOURNAL_HEADER + 4 * file.chunks.length) return 0;
  const hash = await chunkListHash(file);
  if (!new Uint8Array(bytes, 0, JOURNAL_HEADER).every((byte, i) => byte === hash[i])) return 0;
  // A verified chunk counts more than it has.
  const counts = new Uint32Array(bytes, JOURNAL_HEADER);
  return file.chunks.reduce((sum, { size }, i) => sum + Math.min(size, counts[i]!), 0);
}

async function chunkListHash(file: ManifestFile): Promise<Uint8Array<ArrayBuffer>> {
  const list = file.chunks.map((chunk) => `${chunk.sha256} ${chunk.size}\n`).join('');
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(list)));
}

export async function rename(handle: FileSystemFileHandle, name: string): Promise<void> {
  if (handle.move === undefined)
    throw new DOMException('This browser cannot rename stored files.', 'NotSupportedError');
  await handle.move(name);
}

// The worker of a tab that was just closed holds its handles a moment longer than its lock.
export async function openSync(handle: FileSystemFileHandle): Promise<FileSystemSyncAccessHandle> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await handle.createSyncAccessHandle();
    } catch (error) {
      const busy = error instanceof DOMException && error.name === 'NoModificationAllowedError';
      if (!busy || attempt === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

export function writeAll(
  handle: FileSystemSyncAccessHandle,
  bytes: Uint8Array | Uint32Array,
  at: number,
): void {
  const written = handle.write(bytes, { at });
  if (written !== bytes.byteLength)
    throw new DOMException(
      `The browser stored ${written} of ${bytes.byteLength} bytes.`,
      'QuotaExceededError',
    );
}
