// The versions of one model on this device. Each is a record, <root>.version,
// that holds its manifest and signature, beside the files that it names; a
// version is there when its record is sound and all its files are whole. The
// record `current` says which version opens, and which one there was before. An
// update adds files and a record and turns `current` last, so that whatever
// interrupts it, the version that was there still opens. Pages read and delete
// here; only the store worker writes, since sync handles exist only there.

import { Reader } from '../core/check';
import { SlmError } from '../core/error';
import { arrivedBytes, replaceFile, storedFiles, textOf } from './opfs';
import { proveManifest, type SourceManifest } from './remote';

const CURRENT = 'current';
const VERSION = '.version';
const ROOT = /^[0-9a-f]{64}$/;

const reader = new Reader('A record of the store', 'bad_manifest');

export interface StoredVersion extends SourceManifest {
  /** Snapshots of the files, in the manifest's order. */
  readonly files: readonly File[];
}

/** A version of which not every byte has arrived. */
export interface UnfinishedVersion extends SourceManifest {
  readonly arrived: number;
}

export interface StoredVersions {
  /** What opens; null while no version is whole. */
  readonly current: StoredVersion | null;
  /** The one there was before, and any that a tab still runs; the former first. */
  readonly others: readonly StoredVersion[];
  /** The person has gone back from the first of `others`. */
  readonly wentBack: boolean;
  /** Why a version that is there was passed over: its signature, say. */
  readonly refused: SlmError | null;
  /** The download that has come furthest. */
  readonly unfinished: UnfinishedVersion | null;
}

export const NO_VERSIONS: StoredVersions = {
  current: null,
  others: [],
  wentBack: false,
  refused: null,
  unfinished: null,
};

interface Pointer {
  readonly current: string;
  readonly other: string | null;
  readonly wentBack: boolean;
}

/** A tab holds this lock, shared, as long as it runs the version. */
export const versionLock = (model: string, root: string) => `slmweb-version:${model}:${root}`;

export const recordName = (root: string) => root + VERSION;

/** With a key, only versions that are signed by it count. */
export async function readVersions(
  directory: FileSystemDirectoryHandle,
  publicKey: string | null,
): Promise<StoredVersions> {
  const found = new Map<string, StoredVersion>();
  let refused: SlmError | null = null;
  let unfinished: UnfinishedVersion | null = null;
  for await (const name of directory.keys()) {
    if (!name.endsWith(VERSION)) continue;
    const record = await textOf(directory, name);
    if (record === null) continue;
    try {
      const { manifest, signature } = readRecord(record);
      const source = await proveManifest(manifest, signature, publicKey, 'the stored model');
      const files = await storedFiles(directory, source.manifest);
      const { root } = source.manifest;
      if (name !== recordName(root)) continue;
      if (files !== null) found.set(root, { ...source, files });
      else {
        const arrived = await arrivedInAll(directory, source);
        if (arrived > (unfinished?.arrived ?? 0)) unfinished = { ...source, arrived };
      }
    } catch (error) {
      // A record that cannot be read is that of a version to be downloaded again.
      if (!(error instanceof SlmError)) throw error;
      if (error.code !== 'bad_manifest') refused = error;
    }
  }
  const pointer = await readPointer(directory);
  const rank = (root: string) => (root === pointer?.current ? 2 : root === pointer?.other ? 1 : 0);
  const newest = ({ files }: StoredVersion) => Math.max(...files.map((file) => file.lastModified));
  const [current, ...others] = [...found.values()].sort(
    (a, b) => rank(b.manifest.root) - rank(a.manifest.root) || newest(b) - newest(a),
  );
  const wentBack =
    pointer?.wentBack === true &&
    current?.manifest.root === pointer.current &&
    others[0]?.manifest.root === pointer.other;
  return { current: current ?? null, others, wentBack, refused, unfinished };
}

async function arrivedInAll(
  directory: FileSystemDirectoryHandle,
  { manifest }: SourceManifest,
): Promise<number> {
  const counts = await Promise.all(manifest.files.map((file) => arrivedBytes(directory, file)));
  return counts.reduce((sum, n) => sum + n, 0);
}

function readRecord(text: string): { manifest: string; signature: string | null } {
  const record = reader.object(reader.parse(text), 'the whole');
  return {
    manifest: reader.text(record.manifest, 'manifest', Number.POSITIVE_INFINITY),
    signature: reader.optionalText(record.signature, 'signature'),
  };
}

async function readPointer(directory: FileSystemDirectoryHandle): Promise<Pointer | null> {
  const text = await textOf(directory, CURRENT);
  if (text === null) return null;
  try {
    const pointer = reader.object(reader.parse(text), 'the whole');
    return {
      current: reader.string(pointer.current, 'current', ROOT, 'a root'),
      other: pointer.other === null ? null : reader.string(pointer.other, 'other', ROOT, 'a root'),
      wentBack: pointer.wentBack === true,
    };
  } catch {
    return null; // then the newest version is the current one
  }
}

// ---- in the worker

/** Writes the record of a version. Its files may still be missing. */
export async function storeRecord(
  directory: FileSystemDirectoryHandle,
  { manifest, text, signature }: SourceManifest,
): Promise<void> {
  await replaceFile(directory, recordName(manifest.root), JSON.stringify({ manifest: text, signature }));
}

/** Makes a whole version the one that opens; the one that was becomes the one before. */
export async function turnTo(
  directory: FileSystemDirectoryHandle,
  root: string,
  wentBack: boolean,
): Promise<void> {
  const { current, others } = await readVersions(directory, null);
  const [previous] = [current, ...others].filter((version) => version && version.manifest.root !== root);
  const pointer: Pointer = { current: root, other: previous?.manifest.root ?? null, wentBack };
  await replaceFile(directory, CURRENT, JSON.stringify(pointer));
}

/** Deletes everything but the versions `keep`, those that a tab runs, and what is being downloaded. */
export async function prune(
  directory: FileSystemDirectoryHandle,
  model: string,
  keep: readonly SourceManifest[],
): Promise<void> {
  const wanted = new Set([CURRENT]);
  const want = ({ manifest }: SourceManifest) => {
    wanted.add(recordName(manifest.root));
    for (const { sha256 } of manifest.files)
      wanted.add(sha256).add(`${sha256}.part`).add(`${sha256}.journal`);
  };
  keep.forEach(want);
  const { current, others } = await readVersions(directory, null);
  for (const version of [current, ...others])
    if (version !== null && (await isRunning(model, version.manifest.root))) want(version);
  // What a closing tab still holds is deleted another time.
  for await (const name of directory.keys())
    if (!wanted.has(name)) await directory.removeEntry(name).catch(() => undefined);
}

async function isRunning(model: string, root: string): Promise<boolean> {
  const { held } = (await navigator.locks?.query()) ?? {};
  return held?.some((lock) => lock.name === versionLock(model, root)) === true;
}
