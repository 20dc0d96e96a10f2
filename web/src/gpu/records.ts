// The records of gpu_encode and what was made of each: pipeline, bind group and
// the place of its parameters. A model encodes the same few hundred records for
// every token, so the record at a place in the pass is first compared with the
// one that was there in the last pass (the tape), then looked up among all. A
// record stands for the same dispatch whenever its words are the same; only the
// number of its workgroups may differ.

import { RECORD_HEAD } from '../generated/gpu';
import { type Buffers, USAGE } from './buffers';
import { type Pipeline, type Pipelines, paramBytes } from './pipelines';

/** Uniform offsets are multiples of it on every device, and no Params is longer. */
const SLOT_BYTES = 256;
const SLOTS = 4096;

export interface Entry {
  /** The record, with zeros for the workgroups. */
  readonly words: Uint32Array;
  readonly pipeline: Pipeline;
  readonly bindings: GPUBindGroup;
  readonly slot: number;
  /** The last pass that used it. */
  pass: number;
  next: Entry | undefined;
}

export class Records {
  /** Offsets by slot, in the form in which setBindGroup takes them without an allocation. */
  readonly offsets = Uint32Array.from({ length: SLOTS }, (_, slot) => slot * SLOT_BYTES);
  readonly #device: GPUDevice;
  readonly #buffers: Buffers;
  readonly #pipelines: Pipelines;
  readonly #params: GPUBuffer;
  readonly #staged = new Uint32Array((SLOTS * SLOT_BYTES) / 4);
  #stagedFrom = SLOTS;
  #stagedTo = 0;
  #byHash = new Map<number, Entry>();
  #free = Array.from({ length: SLOTS }, (_, i) => SLOTS - 1 - i);
  #tape: Entry[] = [];
  #at = 0;
  #pass = 1;

  constructor(device: GPUDevice, buffers: Buffers, pipelines: Pipelines) {
    this.#device = device;
    this.#buffers = buffers;
    this.#pipelines = pipelines;
    const usage = USAGE.UNIFORM | USAGE.COPY_DST;
    this.#params = device.createBuffer({ label: 'params', size: SLOTS * SLOT_BYTES, usage });
  }

  /** The entry of the record at `at` of `memory`, in words; null when there is no room before the pass
   *  has been submitted. */
  next(memory: Uint32Array, at: number): Entry | null {
    const last = this.#tape[this.#at];
    const entry = last !== undefined && same(last.words, memory, at) ? last : this.#find(memory, at);
    if (entry === null) return null;
    entry.pass = this.#pass;
    this.#tape[this.#at++] = entry;
    return entry;
  }

  /** Writes what is new of the parameters; the pass that uses them must be submitted after it. */
  flush(): void {
    if (this.#stagedTo > this.#stagedFrom) {
      const from = this.#stagedFrom * SLOT_BYTES;
      const size = (this.#stagedTo - this.#stagedFrom) * SLOT_BYTES;
      this.#device.queue.writeBuffer(this.#params, from, this.#staged.buffer, from, size);
    }
    this.#stagedFrom = SLOTS;
    this.#stagedTo = 0;
    this.#pass += 1;
    this.#at = 0;
  }

  #find(memory: Uint32Array, at: number): Entry | null {
    const pipeline = this.#pipelines.want(memory.subarray(at), RECORD_HEAD);
    const { operation } = pipeline;
    const { overrides, buffers, params } = operation;
    const words = memory.slice(at, at + RECORD_HEAD + overrides.length + buffers.length + params);
    words.fill(0, 2, RECORD_HEAD);
    for (let entry = this.#byHash.get(hashOf(words)); entry !== undefined; entry = entry.next)
      if (same(entry.words, words, 0)) return entry;
    const slot = this.#free.pop() ?? this.#evict();
    if (slot === undefined) return null;
    const atParams = words.length - params;
    this.#stage(slot, words.subarray(atParams));
    const entries = [
      { binding: 0, resource: { buffer: this.#params, size: paramBytes(operation) } },
      ...buffers.map(({ binding }, i) => {
        const handle = words[atParams - buffers.length + i]!;
        const buffer = handle === 0 ? this.#buffers.dummy(binding) : this.#buffers.at(handle);
        return { binding, resource: { buffer } };
      }),
    ];
    const layout = pipeline.layout.bindings;
    const bindings = this.#device.createBindGroup({ label: operation.name, layout, entries });
    const entry: Entry = { words, pipeline, bindings, slot, pass: 0, next: undefined };
    this.#keep(entry);
    return entry;
  }

  #stage(slot: number, params: Uint32Array): void {
    this.#staged.set(params, (slot * SLOT_BYTES) / 4);
    this.#stagedFrom = Math.min(this.#stagedFrom, slot);
    this.#stagedTo = Math.max(this.#stagedTo, slot + 1);
  }

  /** Forgets all that this pass has not used: what earlier ones read has been handed over. */
  #evict(): number | undefined {
    const entries: Entry[] = [];
    for (const first of this.#byHash.values())
      for (let entry: Entry | undefined = first; entry !== undefined; entry = entry.next) entries.push(entry);
    this.#byHash = new Map();
    this.#tape.length = this.#at;
    for (const entry of entries)
      if (entry.pass === this.#pass) this.#keep(entry);
      else this.#free.push(entry.slot);
    return this.#free.pop();
  }

  #keep(entry: Entry): void {
    const hash = hashOf(entry.words);
    entry.next = this.#byHash.get(hash);
    this.#byHash.set(hash, entry);
  }
}

function same(words: Uint32Array, memory: Uint32Array, at: number): boolean {
  if (words[0] !== memory[at] || words[1] !== memory[at + 1]) return false;
  for (let i = RECORD_HEAD; i < words.length; i++) if (words[i] !== memory[at + i]) return false;
  return true;
}

/** FNV-1a, by words. */
function hashOf(words: Uint32Array): number {
  let hash = 0x811c9dc5;
  for (const word of words) hash = Math.imul(hash ^ word, 0x01000193);
  return hash;
}
