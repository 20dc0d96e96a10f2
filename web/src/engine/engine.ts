// Owns the workers: starts them from a source, hands them work and turns their
// messages into promises. When a worker crashes, everything that is pending and
// all that follows is rejected with that one sentence, and only dispose() is
// left. It knows tokens and text pieces, not chats.

import type {
  AdapterUse,
  EngineOptions,
  LoadProgress,
  ModelSource,
  PrefillProgress,
  Timings,
} from '../api/types';
import { SlmError } from '../core/error';
import type { Spans } from '../core/model';
import type {
  DoneReport,
  GenerateRequest,
  LoadedFacts,
  MainReply,
  MainRequest,
  Role,
  TokenReport,
} from '../worker/protocol';
import { EngineAdapters } from './adapters';
import { probe } from './probe';
import { type Choice, chooseVariant } from './variant';

const DEFAULT_N_BATCH = 128;

export interface GenerateHandlers {
  readonly onToken: (report: TokenReport) => void;
  readonly onPrefill: (progress: PrefillProgress) => void;
  readonly signal: AbortSignal | undefined;
}

interface Pending {
  readonly handle: (reply: MainReply) => void;
  readonly reject: (reason: unknown) => void;
}

/** What a request needs besides the id that the engine gives it. */
export type Generation = Omit<GenerateRequest, 'type' | 'id' | 'adapters'> & {
  readonly adapters: readonly AdapterUse[];
};

export class Engine {
  readonly choice: Choice;
  readonly facts: LoadedFacts;
  readonly adapters: EngineAdapters;
  readonly #workers: readonly Worker[];
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #failure: SlmError | null = null;
  #n_past = 0;
  #timings: Timings | null = null;
  #memoryBytes: number;

  private constructor(choice: Choice, workers: readonly Worker[], facts: LoadedFacts, source: ModelSource) {
    this.choice = choice;
    this.#workers = workers;
    this.facts = facts;
    this.#memoryBytes = facts.memory_bytes;
    const free = (id: number) => {
      this.#ask({ type: 'free-adapter', id: this.#nextId++, adapter: id }).catch(() => undefined);
    };
    this.adapters = new EngineAdapters({ load: (file) => this.#loadAdapter(file), free }, source);
    onCrash(workers, (error) => this.#fail(error));
    workers[0]!.onmessage = ({ data }: MessageEvent<MainReply>) => this.#receive(data);
  }

  static async start(source: ModelSource, options: EngineOptions = {}): Promise<Engine> {
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    const choice = chooseVariant(await probe(), options);
    const wasm = await source.wasm(choice.variant);
    signal?.throwIfAborted();
    const n_ctx = options.n_ctx ?? source.manifest.memory.n_ctx_default;
    const n_batch = options.n_batch ?? DEFAULT_N_BATCH;
    for (const [name, value] of Object.entries({ n_ctx, n_batch }))
      if (!Number.isInteger(value) || value < 1)
        throw new SlmError(
          'invalid_argument',
          `Expected ${name} to be a whole number above 0, found ${value}.`,
        );

    const workers = Array.from({ length: choice.threads }, () => new Worker(source.workerUrl));
    const [main, ...helpers] = workers;
    try {
      const ports = helpers.map((helper) => {
        const { port1, port2 } = new MessageChannel();
        helper.postMessage({ role: 'helper', port: port2 } satisfies Role, [port2]);
        return port1;
      });
      const shared = choice.variant.endsWith('-mt');
      const load = { wasm, shared, files: modelFiles(source), n_ctx, n_batch };
      main!.postMessage({ role: 'main', helpers: ports, load } satisfies Role, [wasm, ...ports]);
      const facts = await loaded(workers, onProgress, signal);
      return new Engine(choice, workers, facts, source);
    } catch (error) {
      for (const worker of workers) worker.terminate();
      throw error;
    }
  }

  get n_past(): number {
    return this.#n_past;
  }

  get timings(): Timings | null {
    return this.#timings;
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  async tokenize(
    text: string,
    options: { special: boolean; bos: boolean; plain?: Spans },
  ): Promise<Int32Array> {
    const reply = await this.#ask({ type: 'tokenize', id: this.#nextId++, text, ...options });
    return reply.type === 'tokenized' ? reply.ids : unexpected(reply);
  }

  async detokenize(ids: readonly number[], options: { special: boolean }): Promise<Uint8Array> {
    const reply = await this.#ask({ type: 'detokenize', id: this.#nextId++, ids, ...options });
    return reply.type === 'detokenized' ? reply.bytes : unexpected(reply);
  }

  /** Resolves when the worker has stopped, also after an abort. Only one at a time. */
  async generate(
    generation: Generation,
    { onToken, onPrefill, signal }: GenerateHandlers,
  ): Promise<DoneReport> {
    signal?.throwIfAborted();
    // In this request's turn, so that an adapter removed before it is not used.
    const adapters = await this.adapters.ready(generation.adapters);
    signal?.throwIfAborted();
    const id = this.#nextId++;
    const abort = () => this.#send({ type: 'abort', id });
    signal?.addEventListener('abort', abort);
    try {
      const reply = await this.#ask({ type: 'generate', id, ...generation, adapters }, (report) => {
        if (report.type === 'token') onToken(report);
        else if (report.type === 'prefill') onPrefill(report.progress);
      });
      return reply.type === 'done' ? reply : unexpected(reply);
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async #loadAdapter(file: Blob) {
    const reply = await this.#ask({ type: 'load-adapter', id: this.#nextId++, file });
    return reply.type === 'adapter' ? reply : unexpected(reply);
  }

  dispose(): void {
    this.#fail(
      new SlmError(
        'disposed',
        'Expected a model that is still loaded, found one that was disposed of; load it again.',
      ),
    );
  }

  #send(request: MainRequest): void {
    if (this.#failure === null) this.#workers[0]!.postMessage(request);
  }

  #ask(
    request: Exclude<MainRequest, { type: 'abort' }>,
    onReport?: (reply: MainReply) => void,
  ): Promise<MainReply> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const handle = (reply: MainReply) => {
        if (reply.type === 'token' || reply.type === 'prefill') return onReport?.(reply);
        this.#pending.delete(request.id);
        if (reply.type === 'error') reject(SlmError.fromWire(reply.error));
        else resolve(reply);
      };
      this.#pending.set(request.id, { handle, reject });
      this.#send(request);
    });
  }

  #receive(reply: MainReply): void {
    if ('n_past' in reply) this.#n_past = reply.n_past;
    if ('timings' in reply) {
      this.#timings = reply.timings;
      this.#memoryBytes = reply.timings.memory_bytes;
    }
    if (reply.type === 'adapter') this.#memoryBytes = reply.memory_bytes;
    if (reply.type === 'crash') this.#fail(SlmError.fromWire(reply.error));
    else if ('id' in reply) this.#pending.get(reply.id)?.handle(reply);
  }

  #fail(error: SlmError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    for (const worker of this.#workers) worker.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/** Without the files of adapters, which are loaded when they are used. */
function modelFiles({ manifest, files }: ModelSource): readonly Blob[] {
  const apart = new Set(manifest.adapters?.map(({ file }) => file));
  return files.filter((_, i) => !apart.has(i));
}

/** Waits for the main worker's model; rejects on a crash of any worker or an abort. */
function loaded(
  workers: readonly Worker[],
  onProgress: ((progress: LoadProgress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<LoadedFacts> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal!.reason);
    signal?.addEventListener('abort', abort, { once: true });
    onCrash(workers, reject);
    workers[0]!.onmessage = ({ data }: MessageEvent<MainReply>) => {
      if (data.type === 'progress') onProgress?.(data.progress);
      else if (data.type === 'crash') reject(SlmError.fromWire(data.error));
      else if (data.type === 'loaded') {
        signal?.removeEventListener('abort', abort);
        resolve(data.facts);
      }
    };
  });
}

function onCrash(workers: readonly Worker[], fail: (error: SlmError) => void): void {
  workers.forEach((worker, index) => {
    worker.onerror = (event) => {
      event.preventDefault();
      fail(
        new SlmError(
          'crashed',
          `The model's worker stopped (${event.message || 'its script did not start'}); load the model again.`,
        ),
      );
    };
    // Helpers say only this to the page; the main worker's handler is set by its owner.
    if (index > 0)
      worker.onmessage = ({ data }: MessageEvent<MainReply>) => {
        if (data.type === 'crash') fail(SlmError.fromWire(data.error));
      };
  });
}

function unexpected(reply: MainReply): never {
  throw new SlmError('crashed', `Expected an answer of the worker, found ${reply.type}; reload the page.`);
}
