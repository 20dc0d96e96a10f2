// What a manifest says of a plain GGUF model, asked of the core: the same facts
// that `slmweb pack` writes down. It sees the first bytes of the model's files and
// their hashes; where they come from, and where they are kept, is gguf.ts's.

import type { Manifest, ManifestFile } from '../api/types';
import { Core } from '../core/core';
import { SlmError } from '../core/error';
import { Model, type ModelFacts } from '../core/model';
import { apart } from '../core/units';
import { N_BATCH } from '../generated/abi';
import { contentRoot } from './manifest';
import { WORKING_BYTES } from './room';

// The contexts whose memory a manifest states, as in py/slmweb/pack/pack.py.
const SMALLEST_CONTEXT = 512;
const LARGEST_CONTEXT = 131072;
const DEFAULT_CONTEXT = 2048;

export type Facts = Omit<ModelFacts, 'tensors'> & Pick<Manifest, 'memory'>;

export class Describer {
  readonly #module: WebAssembly.Module;
  readonly #model: Model;
  readonly #n_files: number;
  #described = 0;
  #facts: Facts | null = null;

  private constructor(module: WebAssembly.Module, core: Core, n_files: number) {
    this.#module = module;
    this.#model = new Model(core);
    this.#n_files = n_files;
  }

  /** `wasm`: a variant for one thread. `n_files`: what the model consists of. */
  static async start(wasm: ArrayBuffer, n_files: number): Promise<Describer> {
    return Describer.#of(await WebAssembly.compile(wasm), n_files);
  }

  static async #of(module: WebAssembly.Module, n_files: number): Promise<Describer> {
    return new Describer(module, await Core.instantiate(module, null, true), n_files);
  }

  /** One that has seen nothing yet. */
  again(): Promise<Describer> {
    return Describer.#of(this.#module, this.#n_files);
  }

  /** Files whose beginning was enough. */
  get described(): number {
    return this.#described;
  }

  /** Null until every file is described. */
  get facts(): Facts | null {
    return this.#facts;
  }

  /** Hands over the next file's first bytes. False asks for more of them. Throws what the core says of a file
   *  that it cannot run. */
  head(bytes: Uint8Array, fileSize: number): boolean {
    const model = this.#model;
    if (!model.header(bytes, fileSize)) return false;
    this.#described += 1;
    const n = this.#described + model.missing;
    if (n !== this.#n_files)
      throw new SlmError(
        'bad_file',
        `Expected ${n === 1 ? 'one GGUF file, which is a whole model' : `all ${n} GGUF files of the split set`}, found ${this.#n_files}; give what belongs to one model, as an array.`,
      );
    if (model.missing === 0) this.#facts = this.#ask();
    return true;
  }

  #ask(): Facts {
    const model = this.#model;
    try {
      model.layout();
    } catch (error) {
      if (!(error instanceof SlmError) || error.code !== 'out_of_memory') throw error;
      throw tooLarge(model.describe(), model.core.memoryBytes);
    }
    const { tensors: _, ...facts } = model.describe();
    const n_ctx_train = facts.n_ctx_train || DEFAULT_CONTEXT;
    const contexts = contextLengths(n_ctx_train).map((n_ctx) => ({
      n_ctx,
      bytes: model.core.exports.slm_session_bytes(model.pointer, n_ctx, N_BATCH.cpu),
    }));
    const n_ctx_default = Math.min(DEFAULT_CONTEXT, n_ctx_train);
    return { ...facts, n_ctx_train, memory: { weights: facts.packed_bytes, n_ctx_default, contexts } };
  }

  /** After all heads. */
  async manifest(
    name: string,
    stem: string,
    source: string | null,
    files: readonly ManifestFile[],
  ): Promise<Manifest> {
    const facts = this.#facts!;
    return {
      schema: 2,
      name,
      title: titleOf(facts, stem),
      version: null,
      architecture: facts.architecture,
      parameters: facts.parameters,
      context_length: facts.n_ctx_train,
      license: facts.license?.slice(0, 1000) ?? null,
      license_url: null,
      source,
      chat_template: facts.chat_template,
      size: files.reduce((sum, { size }) => sum + size, 0),
      memory: facts.memory,
      sampling: {},
      root: await contentRoot(files),
      files,
    };
  }
}

/** What a model is called, for people. */
export const titleOf = ({ name }: Pick<Facts, 'name'>, stem: string): string => (name || stem).slice(0, 200);

/** The weights alone are more than linear memory can have here, so that the core could not even lay them out. */
function tooLarge({ name, tensors }: ModelFacts, available: number): SlmError {
  const needed = tensors.reduce((sum, { size }) => sum + size, 0) + WORKING_BYTES;
  const [needs, gives] = apart(needed, available);
  return new SlmError(
    'too_large',
    `${name || 'The model'} needs more than ${needs} of memory, and this browser gives a page no more than ${gives}. Choose a smaller model.`,
    { details: { needed, available, estimate: false, cpu_chosen: false } },
  );
}

function contextLengths(n_ctx_train: number): number[] {
  const longest = Math.min(n_ctx_train, LARGEST_CONTEXT);
  const lengths = [];
  for (let n = SMALLEST_CONTEXT; n < longest; n *= 2) lengths.push(n);
  return [...lengths, longest];
}
