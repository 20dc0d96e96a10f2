// What a manifest says of a plain GGUF file, asked of the core: the same facts
// that `slmweb pack` writes down. It sees the file's first bytes and its hashes;
// where they come from, and where the file is kept, is gguf.ts's.

import type { Manifest, ManifestFile } from '../api/types';
import { Core } from '../core/core';
import { Model, type ModelFacts } from '../core/model';
import { contentRoot } from './manifest';

// The contexts whose memory a manifest states, as in py/slmweb/pack/pack.py.
const SMALLEST_CONTEXT = 512;
const LARGEST_CONTEXT = 131072;
const DEFAULT_CONTEXT = 2048;
const N_BATCH = 128;

type Facts = Omit<ModelFacts, 'tensors'> & Pick<Manifest, 'memory'>;

export class Describer {
  readonly #model: Model;
  #facts: Facts | null = null;

  private constructor(model: Model) {
    this.#model = model;
  }

  /** `wasm`: a variant for one thread. */
  static async start(wasm: ArrayBuffer): Promise<Describer> {
    return new Describer(new Model(await Core.instantiate(await WebAssembly.compile(wasm), null, true)));
  }

  /** False asks for more of the file's first bytes. Throws what the core says of a file that it cannot run. */
  head(bytes: Uint8Array, fileSize: number): boolean {
    if (this.#facts !== null) return true;
    const model = this.#model;
    if (!model.header(bytes, fileSize)) return false;
    model.layout();
    const { tensors: _, ...facts } = model.describe();
    const n_ctx_train = facts.n_ctx_train || DEFAULT_CONTEXT;
    const contexts = contextLengths(n_ctx_train).map((n_ctx) => ({
      n_ctx,
      bytes: model.core.exports.slm_session_bytes(model.pointer, n_ctx, N_BATCH),
    }));
    const n_ctx_default = Math.min(DEFAULT_CONTEXT, n_ctx_train);
    this.#facts = { ...facts, n_ctx_train, memory: { weights: facts.packed_bytes, n_ctx_default, contexts } };
    return true;
  }

  /** After a head that was enough. */
  async manifest(name: string, stem: string, source: string | null, file: ManifestFile): Promise<Manifest> {
    const facts = this.#facts!;
    return {
      schema: 2,
      name,
      title: (facts.name || stem).slice(0, 200),
      version: null,
      architecture: facts.architecture,
      parameters: facts.parameters,
      context_length: facts.n_ctx_train,
      license: facts.license?.slice(0, 1000) ?? null,
      license_url: null,
      source,
      chat_template: facts.chat_template,
      size: file.size,
      memory: facts.memory,
      sampling: {},
      root: await contentRoot([file]),
      files: [file],
    };
  }
}

function contextLengths(n_ctx_train: number): number[] {
  const longest = Math.min(n_ctx_train, LARGEST_CONTEXT);
  const lengths = [];
  for (let n = SMALLEST_CONTEXT; n < longest; n *= 2) lengths.push(n);
  return [...lengths, longest];
}
