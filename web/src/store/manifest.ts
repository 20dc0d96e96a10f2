// The manifest of a packed model, as `slmweb pack` writes it. It comes from the
// network, so every field is checked before anything is named, allocated or
// fetched after it. Chunk hashes are all that vouches for the bytes, so they
// are checked for form here and for truth in download.ts.

import type { Manifest, ManifestChunk, ManifestFile, SamplingDefaults } from '../api/types';
import { Reader } from '../core/check';

// A chunk is hashed in one piece of memory; a file set beyond this is no small model.
const MAX_CHUNK_BYTES = 64 * 1024 * 1024;
const MAX_FILES = 64;
const MAX_CHUNKS = 65536;
const MAX_BYTES = 64 * 1024 ** 3;

// Names become OPFS entries and URL parts: no separators, no leading dot.
const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9 ._+()-]{0,199}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const HTTPS = /^https:\/\/[^\s"'<>]{1,500}$/;

const SAMPLING = ['temperature', 'top_k', 'top_p', 'min_p', 'repeat_penalty'] as const;

const reader = new Reader('The manifest', 'bad_manifest');

export function isModelName(value: unknown): value is string {
  return typeof value === 'string' && MODEL_NAME.test(value);
}

export function parseManifest(json: string): Manifest {
  return checkManifest(reader.parse(json));
}

export function checkManifest(value: unknown): Manifest {
  const top = reader.object(value, 'the whole');
  if (top.schema !== 1) reader.fail('schema', '1 (another one needs another release of slmweb)', top.schema);
  const files = reader.array(top.files, 'files', 1, MAX_FILES).map(checkFile);
  const size = reader.integer(top.size, 'size', 1, MAX_BYTES);
  const sum = files.reduce((n, file) => n + file.size, 0);
  if (sum !== size) reader.fail('size', `the sum of the files (${sum})`, size);
  if (new Set(files.map((file) => file.sha256)).size !== files.length)
    reader.fail(
      'files',
      'different from one another',
      files.map((file) => file.sha256),
    );
  const memory = reader.object(top.memory, 'memory');
  return {
    schema: 1,
    name: reader.string(top.name, 'name', MODEL_NAME, 'letters, digits, dots and dashes'),
    title: reader.text(top.title, 'title', 200),
    architecture: reader.text(top.architecture, 'architecture', 100),
    parameters: reader.integer(top.parameters, 'parameters', 0, Number.MAX_SAFE_INTEGER),
    context_length: reader.integer(top.context_length, 'context_length', 1, 2 ** 31),
    license: reader.optionalText(top.license, 'license'),
    license_url: httpsOrNull(top.license_url, 'license_url', reader),
    source: reader.optionalText(top.source, 'source'),
    size,
    memory: {
      weights: reader.integer(memory.weights, 'memory.weights', 0, MAX_BYTES),
      n_ctx_default: reader.integer(memory.n_ctx_default, 'memory.n_ctx_default', 1, 2 ** 31),
    },
    sampling: checkSampling(reader.object(top.sampling ?? {}, 'sampling')),
    files,
  };
}

/** The page makes a link of it, so it must not be a script. */
export function httpsOrNull(value: unknown, path: string, from: Reader): string | null {
  return value === undefined || value === null ? null : from.string(value, path, HTTPS, 'an https address');
}

function checkFile(value: unknown, index: number): ManifestFile {
  const path = `files[${index}]`;
  const file = reader.object(value, path);
  const size = reader.integer(file.size, `${path}.size`, 1, MAX_BYTES);
  const chunks = reader
    .array(file.chunks, `${path}.chunks`, 1, MAX_CHUNKS)
    .map((chunk, i) => checkChunk(chunk, `${path}.chunks[${i}]`));
  const sum = chunks.reduce((n, chunk) => n + chunk.size, 0);
  if (sum !== size) reader.fail(`${path}.size`, `the sum of its chunks (${sum})`, size);
  return {
    name: reader.string(file.name, `${path}.name`, FILE_NAME, 'a file name without a path'),
    size,
    sha256: reader.string(file.sha256, `${path}.sha256`, SHA256, '64 lower-case hex digits'),
    chunks,
  };
}

function checkChunk(value: unknown, path: string): ManifestChunk {
  const chunk = reader.object(value, path);
  return {
    sha256: reader.string(chunk.sha256, `${path}.sha256`, SHA256, '64 lower-case hex digits'),
    size: reader.integer(chunk.size, `${path}.size`, 1, MAX_CHUNK_BYTES),
  };
}

function checkSampling(value: Record<string, unknown>): SamplingDefaults {
  const known = SAMPLING.filter((key) => value[key] !== undefined);
  return Object.fromEntries(known.map((key) => [key, reader.number(value[key], `sampling.${key}`)]));
}
