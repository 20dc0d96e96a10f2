// The workers that compute one loaded model, on the CPU or with a GPU: starts them,
// hands them requests and turns their messages into promises. When one of them
// fails, everything that is pending and all that follows is rejected, and the owner
// is told; whether another team takes over is the engine's decision.

import type { EngineOptions, LoadProgress, ModelSource } from '../api/types';
import { SlmError } from '../core/error';
import { GpuFailure } from '../gpu/failure';
import { Patience, START_MS } from '../gpu/patience';
import type { Crash, LoadedFacts, LoadRequest, MainReply, MainRequest, Role } from '../worker/protocol';
import type { Choice } from './variant';

interface Pending {
  readonly handle: (reply: MainReply) => void;
  readonly reject: (reason: unknown) => void;
}

/** What a team is made for. */
export interface TeamWish {
  readonly choice: Choice;
  readonly gpu: LoadRequest['gpu'];
  readonly n_ctx: number;
  readonly n_batch: number;
  readonly kernels: LoadRequest['kernels'];
  /** Check the known answer, which on a GPU is done anyway. */
  readonly verify: boolean;
}

type Failure = SlmError | GpuFailure;

export class Team {
  readonly choice: Choice;
  readonly facts: LoadedFacts;
  /** Called once, when the workers have failed. */
  onFailure: (error: Failure) => void = () => undefined;
  /** Called with every message of the main worker, before whoever waits for it. */
  onMessage: (reply: MainReply) => void = () => undefined;
  readonly #workers: readonly Worker[];
  readonly #pending = new Map<number, Pending>();
  #failure: unknown = null;

  private constructor(choice: Choice, workers: readonly Worker[], facts: LoadedFacts) {
    this.choice = choice;
    this.#workers = workers;
    this.facts = facts;
    onCrash(workers, (error) => this.#fail(error));
    workers[0]!.onmessage = ({ data }: MessageEvent<MainReply>) => this.#receive(data);
  }

  /** Loads the model. Rejects with a GpuFailure when it was the GPU that could not. */
  static async start(
    source: ModelSource,
    { choice, gpu, n_ctx, n_batch, kernels, verify }: TeamWish,
    { onProgress, signal }: Pick<EngineOptions, 'onProgress' | 'signal'>,
  ): Promise<Team> {
    const wasm = await source.wasm(choice.variant);
    signal?.throwIfAborted();
    const url = gpu === null ? source.workerUrl : (source.gpuWorkerUrl ?? source.workerUrl);
    const workers = Array.from({ length: choice.threads }, () => new Worker(url));
    const [main, ...helpers] = workers;
    // A slow disk or a slow processor has no other to give way to.
    const patience = gpu === null ? null : new Patience(START_MS, "the model's worker");
    try {
      const ports = helpers.map((helper) => {
        const { port1, port2 } = new MessageChannel();
        helper.postMessage({ role: 'helper', port: port2 } satisfies Role, [port2]);
        return port1;
      });
      const load: LoadRequest = {
        wasm,
        shared: choice.variant.endsWith('-mt'),
        files: modelFiles(source),
        n_ctx,
        n_batch,
        gpu,
        kernels,
        known_answer: source.manifest.known_answer ?? [],
        verify,
      };
      main!.postMessage({ role: 'main', helpers: ports, load } satisfies Role, ports);
      return new Team(choice, workers, await loaded(workers, patience, onProgress, signal));
    } catch (error) {
      for (const worker of workers) worker.terminate();
      throw error;
    } finally {
      patience?.end();
    }
  }

  /** The answer to a request; what is reported before it goes to `onReport`. */
  ask(
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
      this.send(request);
    });
  }

  send(request: MainRequest): void {
    if (this.#failure === null) this.#workers[0]!.postMessage(request);
  }

  /** Ends the workers; whoever waits for them hears `reason`. */
  stop(reason: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = reason;
    for (const worker of this.#workers) worker.terminate();
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }

  #fail(error: Failure): void {
    if (this.#failure !== null) return;
    this.stop(error);
    this.onFailure(error);
  }

  #receive(reply: MainReply): void {
    this.onMessage(reply);
    if (reply.type === 'crash') this.#fail(failureOf(reply));
    else if ('id' in reply) this.#pending.get(reply.id)?.handle(reply);
  }
}

/** Without the files that lie beside the model, which are loaded when they are used. */
function modelFiles({ manifest, files }: ModelSource): readonly Blob[] {
  const apart = new Set(
    [
      ...(manifest.adapters ?? []),
      ...(manifest.vision ? [manifest.vision] : []),
      ...(manifest.saes ?? []),
    ].map(({ file }) => file),
  );
  return files.filter((_, i) => !apart.has(i));
}

/** Waits for the main worker's model; rejects on a crash of any worker or an abort, or when patience is lost. */
function loaded(
  workers: readonly Worker[],
  patience: Patience | null,
  onProgress: ((progress: LoadProgress) => void) | undefined,
  signal: AbortSignal | undefined,
): Promise<LoadedFacts> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal!.reason);
    signal?.addEventListener('abort', abort, { once: true });
    onCrash(workers, reject);
    patience?.lost.catch(reject);
    workers[0]!.onmessage = ({ data }: MessageEvent<MainReply>) => {
      patience?.alive();
      if (data.type === 'progress') onProgress?.(data.progress);
      else if (data.type === 'crash') reject(failureOf(data));
      else if (data.type === 'loaded') {
        signal?.removeEventListener('abort', abort);
        resolve(data.facts);
      }
    };
  });
}

function failureOf({ error, gpu }: Crash): Failure {
  return gpu === undefined ? SlmError.fromWire(error) : new GpuFailure(gpu, error.message);
}

function onCrash(workers: readonly Worker[], fail: (error: Failure) => void): void {
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
        if (data.type === 'crash') fail(failureOf(data));
      };
  });
}
