// Takes chunks that are on this device already, in another version of the model,
// instead of fetching them. What is taken is hashed like what is fetched: a file
// that has rotted spoils no new one.

import type { Manifest } from '../api/types';
import { toHex } from './manifest';
import type { Meter } from './meter';
import type { ChunkSink } from './sink';

/** A version with its files; what versions.ts finds. */
interface Source {
  readonly manifest: Manifest;
  readonly files: readonly Blob[];
}

interface Place {
  readonly file: Blob;
  readonly offset: number;
  readonly size: number;
}

/** Fills what it can of `sinks` from `sources`. */
export async function reuse(
  sinks: readonly ChunkSink[],
  sources: readonly Source[],
  meter: Meter,
  signal: AbortSignal,
): Promise<void> {
  const places = placesOf(sources);
  const found = sinks.flatMap((sink) =>
    sink.file.chunks.flatMap(({ sha256, size }, index) => {
      const place = sink.isVerified(index) ? undefined : places.get(sha256);
      return place?.size === size ? [{ sink, index, sha256, place }] : [];
    }),
  );
  if (found.length === 0) return;
  meter.start(
    'check',
    0,
    found.reduce((n, { place }) => n + place.size, 0),
  );
  for (const { sink, index, sha256, place } of found) {
    signal.throwIfAborted();
    const { file, offset, size } = place;
    const buffer = await file
      .slice(offset, offset + size)
      .arrayBuffer()
      .catch(() => null); // gone
    if (buffer !== null && toHex(await crypto.subtle.digest('SHA-256', buffer)) === sha256) {
      sink.discard(index);
      sink.append(index, new Uint8Array(buffer));
      sink.verified(index);
    }
    meter.add(size);
  }
}

/** Bytes of `manifest` that no chunk of `sources` has. */
export function missingBytes(manifest: Manifest, sources: readonly Source[]): number {
  const places = placesOf(sources);
  const chunks = manifest.files.flatMap((file) => file.chunks);
  return chunks.reduce((n, { sha256, size }) => n + (places.has(sha256) ? 0 : size), 0);
}

function placesOf(sources: readonly Source[]): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const { manifest, files } of sources)
    for (const [i, { chunks }] of manifest.files.entries()) {
      let offset = 0;
      for (const { sha256, size } of chunks) {
        places.set(sha256, { file: files[i]!, offset, size });
        offset += size;
      }
    }
  return places;
}
