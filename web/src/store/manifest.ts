// The manifest of a packed model, as `slmweb pack` writes it. It comes from the
// network, so every field is checked before anything is named, allocated or
// fetched after it. Chunk hashes are all that vouches for the bytes, so they
// are checked for form here and for truth in download.ts; `root`, which stands
// for all of them, is computed again.

import type { KnownAnswer } from '../api/backend';
import type {
  ContextMemory,
  Manifest,
  ManifestAdapter,
  ManifestChunk,
  ManifestFile,
  ManifestSae,
  ManifestVision,
  SamplingDefaults,
} from '../api/types';
import { Reader } from '../core/check';
import { SlmError } from '../core/error';
import { isProjector } from '../vision/projectors';

// A chunk is hashed in one piece of memory; a file set beyond this is no small model.
const MAX_CHUNK_BYTES = 64 * 1024 * 1024;
const MAX_FILES = 64;
const MAX_CHUNKS = 65536;
const MAX_BYTES = 64 * 1024 ** 3;
const MAX_CONTEXTS = 64;
// A check of a few tokens; more would keep a page waiting.
const MAX_KNOWN_TOKENS = 512;
const MAX_LAYERS = 1024;
const MAX_KNOWN_LOGITS = 1024;
// A picture's side in pixels and its tokens; those of today's encoders are 224 to 896, and 64 to 4096.
const MAX_SIDE = 4096;
// Of patches, and of what is merged of them: together a page lays out pictures of at most 560 squares of 512 pixels.
const MAX_PATCH = 128;
const MAX_FACTOR = 4;
const MAX_PICTURE_TOKENS = 16384;
// What the core takes of an autoencoder, and more than any row has.
const MAX_FEATURES = 2 ** 24;
const MAX_WIDTH = 2 ** 20;
// Rounding to 8 bits is not much further off: a greater bound could never fail.
const MAX_BOUND = 0.1;
const MAX_ID = 2 ** 31 - 1;
const MAX_TEMPLATE = 1024 * 1024;
// Where it came from, which may be an address that storage services have signed at length.
const MAX_SOURCE = 8192;

// Names become OPFS entries and URL parts: no separators, no leading dot.
const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9 ._+()-]{0,199}$/;
const VERSION_LABEL = /^[A-Za-z0-9][A-Za-z0-9 ._+()-]{0,63}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const HTTPS = /^https:\/\/[^\s"'<>]{1,500}$/;

const SITES = ['residual', 'mlp', 'heads'] as const;

const SAMPLING = ['temperature', 'top_k', 'top_p', 'min_p', 'repeat_penalty'] as const;

const reader = new Reader('The manifest', 'bad_manifest');

export function isModelName(value: unknown): value is string {
  return typeof value === 'string' && MODEL_NAME.test(value);
}

/** The manifest in `json`, each field checked and the root found to be that of its chunks. */
export async function parseManifest(json: string): Promise<Manifest> {
  const manifest = checkManifest(reader.parse(json));
  const root = await contentRoot(manifest.files);
  if (root !== manifest.root) reader.fail('root', `that of its chunks (${root})`, manifest.root);
  return manifest;
}

/** The hash that stands for every byte of a model; `content_root` in py/slmweb/pack/manifest.py
 *  says how the lines are written. */
export async function contentRoot(files: readonly ManifestFile[]): Promise<string> {
  if (globalThis.crypto?.subtle === undefined)
    throw new SlmError(
      'unsupported',
      'Expected a page served over https or from localhost, found an insecure one, where browsers give no way to verify a download; open it at a secure address.',
    );
  const lines = files.flatMap((file) => [
    `file ${file.sha256} ${file.size}\n`,
    ...file.chunks.map((chunk) => `chunk ${chunk.sha256} ${chunk.size}\n`),
  ]);
  return toHex(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(lines.join(''))));
}

export function toHex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What a version may be called, or null where it has no name. */
export function versionLabel(value: unknown, path: string, from: Reader): string | null {
  return value === undefined || value === null
    ? null
    : from.string(value, path, VERSION_LABEL, 'a label such as 2026-11');
}

function checkManifest(value: unknown): Manifest {
  const top = reader.object(value, 'the whole');
  if (top.schema !== 2)
    reader.fail('schema', '2 (pack the model again with the slmweb that made this page)', top.schema);
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
  const good_for = reader.optionalText(top.good_for, 'good_for');
  const taken = new Set<number>();
  const adapters: ManifestAdapter[] = checkBeside(
    top.adapters ?? [],
    'adapters',
    files.length,
    taken,
    () => ({}),
  );
  const vision = top.vision == null ? null : checkVision(top.vision, files.length, taken);
  const saes: ManifestSae[] = checkBeside(top.saes ?? [], 'saes', files.length, taken, saeFacts);
  return {
    schema: 2,
    name: reader.string(top.name, 'name', MODEL_NAME, 'letters, digits, dots and dashes'),
    title: reader.text(top.title, 'title', 200),
    version: versionLabel(top.version, 'version', reader),
    architecture: reader.text(top.architecture, 'architecture', 100),
    parameters: reader.integer(top.parameters, 'parameters', 0, Number.MAX_SAFE_INTEGER),
    context_length: reader.integer(top.context_length, 'context_length', 1, 2 ** 31),
    license: reader.optionalText(top.license, 'license'),
    license_url: httpsOrNull(top.license_url, 'license_url', reader),
    source: reader.optionalText(top.source, 'source', MAX_SOURCE),
    chat_template:
      top.chat_template === null ? null : reader.text(top.chat_template, 'chat_template', MAX_TEMPLATE),
    size,
    memory: checkMemory(top.memory, 'memory', reader),
    sampling: checkSampling(reader.object(top.sampling ?? {}, 'sampling')),
    root: reader.string(top.root, 'root', SHA256, '64 lower-case hex digits'),
    files,
    ...(good_for !== null ? { good_for } : {}),
    ...(adapters.length > 0 ? { adapters } : {}),
    ...(vision !== null ? { vision } : {}),
    ...(saes.length > 0 ? { saes } : {}),
    ...(top.known_answer != null ? { known_answer: checkKnownAnswers(top.known_answer) } : {}),
  };
}

/** One, or those of the layers of a model that was too large to be asked at once. */
function checkKnownAnswers(value: unknown): readonly KnownAnswer[] {
  const at = 'known_answer';
  if (!Array.isArray(value)) {
    const answer = checkKnownAnswer(value, at);
    if (answer.layers !== undefined)
      reader.fail(`${at}.layers`, 'none, for it is the only answer', answer.layers);
    return [answer];
  }
  const answers = reader
    .array(value, at, 1, MAX_LAYERS)
    .map((item, i) => checkKnownAnswer(item, `${at}[${i}]`));
  let next = 0;
  for (const [i, { layers }] of answers.entries()) {
    if (layers?.[0] !== next) reader.fail(`${at}[${i}].layers`, `layers from ${next} on`, layers);
    next = layers![1];
  }
  return answers;
}

function checkKnownAnswer(value: unknown, at: string): KnownAnswer {
  const answer = reader.object(value, at);
  const id = (item: unknown, path: string) => reader.integer(item, path, 0, MAX_ID);
  const list = <T>(key: string, min: number, max: number, check: (item: unknown, path: string) => T) =>
    reader.array(answer[key], `${at}.${key}`, min, max).map((item, i) => check(item, `${at}.${key}[${i}]`));
  const ids = list('ids', 1, MAX_KNOWN_LOGITS, id);
  if (new Set(ids).size !== ids.length) reader.fail(`${at}.ids`, 'different from one another', ids);
  return {
    tokens: list('tokens', 1, MAX_KNOWN_TOKENS, id),
    ids,
    logits: list('logits', ids.length, ids.length, (item, path) => reader.number(item, path)),
    scale: positive(answer.scale, `${at}.scale`, Number.MAX_VALUE),
    bound: positive(answer.bound, `${at}.bound`, MAX_BOUND),
    f16_bound: positive(answer.f16_bound, `${at}.f16_bound`, MAX_BOUND),
    arithmetic:
      answer.arithmetic === 'exact' ? 'exact' : reader.fail(`${at}.arithmetic`, '"exact"', answer.arithmetic),
    ...(answer.layers != null ? { layers: checkLayers(answer.layers, `${at}.layers`) } : {}),
  };
}

function checkLayers(value: unknown, at: string): [number, number] {
  const [first, end] = reader
    .array(value, at, 2, 2)
    .map((item, i) => reader.integer(item, `${at}[${i}]`, 0, MAX_LAYERS));
  if (first! >= end!) reader.fail(at, 'a first layer and one after the last', value);
  return [first!, end!];
}

function positive(value: unknown, path: string, max: number): number {
  const number = reader.number(value, path);
  if (number <= 0 || number > max) reader.fail(path, `a number above 0 and at most ${max}`, number);
  return number;
}

/** What lies beside the model: each names a file of its own, which is taken then, and at least one file is
 *  left for the model. `more` checks what else there is. */
function checkBeside<More>(
  value: unknown,
  key: string,
  n_files: number,
  taken: Set<number>,
  more: (given: Record<string, unknown>, path: string) => More,
): (ManifestAdapter & More)[] {
  const found = reader.array(value, key, 0, n_files - 1 - taken.size).map((item, i) => {
    const path = `${key}[${i}]`;
    const given = reader.object(item, path);
    return {
      name: reader.string(given.name, `${path}.name`, MODEL_NAME, 'letters, digits, dots and dashes'),
      title: reader.text(given.title, `${path}.title`, 200),
      file: reader.integer(given.file, `${path}.file`, 0, n_files - 1),
      ...more(given, path),
    };
  });
  for (const of of ['name', 'file'] as const)
    if (new Set(found.map((one) => one[of])).size !== found.length)
      reader.fail(
        key,
        `different in their ${of}`,
        found.map((one) => one[of]),
      );
  for (const [i, { file }] of found.entries()) {
    if (taken.has(file)) reader.fail(`${key}[${i}].file`, 'a file that nothing else is', file);
  }
  for (const { file } of found) taken.add(file);
  return found;
}

function saeFacts(given: Record<string, unknown>, path: string) {
  const number = (key: string, min: number, max: number) =>
    reader.integer(given[key], `${path}.${key}`, min, max);
  const features = number('features', 1, MAX_FEATURES);
  return {
    site:
      SITES.find((site) => site === given.site) ??
      reader.fail(`${path}.site`, SITES.join(' or '), given.site),
    layer: number('layer', 0, MAX_LAYERS),
    width: number('width', 1, MAX_WIDTH),
    features,
    labels: number('labels', 0, features),
    license: reader.optionalText(given.license, `${path}.license`),
  };
}

/** It has a file of its own, which is taken then, and at least one is left for the model. */
function checkVision(value: unknown, n_files: number, taken: Set<number>): ManifestVision {
  const given = reader.object(value, 'vision');
  const number = (key: string, min: number, max: number) =>
    reader.integer(given[key], `vision.${key}`, min, max);
  const { projector } = given;
  const vision: ManifestVision = {
    projector: isProjector(projector)
      ? projector
      : reader.fail('vision.projector', 'one that this page knows', projector),
    image_size: number('image_size', 0, MAX_SIDE),
    patch_size: number('patch_size', 1, MAX_PATCH),
    n_tokens: number('n_tokens', 1, MAX_PICTURE_TOKENS),
    ...(given.image_size === 0 ? { factor: number('factor', 1, MAX_FACTOR) } : {}),
    whole_picture: given.whole_picture !== false,
    whole_prompt: given.whole_prompt === true,
    masks: given.masks === true,
    packed_bytes: number('packed_bytes', 0, MAX_BYTES),
    encode_bytes: number('encode_bytes', 0, MAX_BYTES),
    file: number('file', 0, n_files - 1),
  };
  const { file } = vision;
  if (taken.has(file) || taken.size + 2 > n_files)
    reader.fail('vision.file', 'a file beside those of the model and of its adapters', file);
  taken.add(file);
  return vision;
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

/** The `memory` of a manifest, or of a model in a list. */
export function checkMemory(value: unknown, path: string, from: Reader): Manifest['memory'] {
  const memory = from.object(value, path);
  return {
    weights: from.integer(memory.weights, `${path}.weights`, 0, MAX_BYTES),
    n_ctx_default: from.integer(memory.n_ctx_default, `${path}.n_ctx_default`, 1, 2 ** 31),
    contexts: from
      .array(memory.contexts, `${path}.contexts`, 1, MAX_CONTEXTS)
      .map((context, i) => checkContext(context, `${path}.contexts[${i}]`, from)),
  };
}

function checkContext(value: unknown, path: string, from: Reader): ContextMemory {
  const context = from.object(value, path);
  return {
    n_ctx: from.integer(context.n_ctx, `${path}.n_ctx`, 1, 2 ** 31),
    bytes: from.integer(context.bytes, `${path}.bytes`, 1, Number.MAX_SAFE_INTEGER),
  };
}

function checkSampling(value: Record<string, unknown>): SamplingDefaults {
  const known = SAMPLING.filter((key) => value[key] !== undefined);
  return Object.fromEntries(known.map((key) => [key, reader.number(value[key], `sampling.${key}`)]));
}
