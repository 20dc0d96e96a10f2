// One loaded model, whoever computes it at the moment. It starts a team of workers
// and, when a GPU fails, another one that goes on with what was asked: on a new
// device first, then on the CPU. When the CPU fails, all that is pending and all
// that follows is rejected with that one sentence, and only dispose() is left. It
// knows tokens and text pieces, not chats.

import type { BackendNotice, GpuStats } from '../api/backend';
import type { AdapterUse, EngineOptions, ModelSource, PrefillProgress, Timings } from '../api/types';
import { SlmError } from '../core/error';
import type { Spans } from '../core/model';
import type { RgbPicture } from '../core/vision';
import { N_BATCH } from '../generated/abi';
import { GpuFailure } from '../gpu/failure';
import { batchFor } from '../vision/projectors';
import type {
  DoneReport,
  FeatureWish,
  GenerateRequest,
  Inspected,
  InspectRequest,
  LoadedFacts,
  MainReply,
  MainRequest,
  RawSteer,
  TokenReport,
} from '../worker/protocol';
import { EngineAdapters } from './adapters';
import { type BackendChoice, chooseBackend, sentence, toSlmError, wantsGpuOnly } from './backend';
import { EnginePictures, type Placed } from './pictures';
import { probe } from './probe';
import { EngineSaes } from './saes';
import { Team } from './team';
import { type Choice, chooseVariant, GPU_CHOICE } from './variant';

/** So many devices may be lost before the CPU takes over. */
const MOST_LOSSES = 2;

export interface GenerateHandlers {
  readonly onToken: (report: TokenReport) => void;
  readonly onPrefill: (progress: PrefillProgress) => void;
  readonly signal: AbortSignal | undefined;
}

/** What a request needs besides what the engine adds to it. */
export type Generation = Omit<GenerateRequest, 'type' | 'id' | 'adapters' | 'steer' | 'pictures' | 'replay'> &
  ByName & {
    /** By rising position; absent: none. */
    readonly pictures?: readonly Placed[];
  };

/** An inspection, in the same way. */
export type Inspecting = Omit<InspectRequest, 'type' | 'id' | 'adapters' | 'steer' | 'features'> &
  ByName & { readonly features: (Omit<FeatureWish, 'sae'> & { readonly sae: string }) | null };

/** As RawSteer, with an autoencoder's name in place of the worker's id. */
export type Steering =
  | Exclude<RawSteer, { readonly sae: number }>
  | { readonly sae: string; readonly feature: number; readonly strength: number };

interface ByName {
  readonly adapters: readonly AdapterUse[];
  readonly steer: readonly Steering[];
}

export class Engine {
  readonly adapters: EngineAdapters;
  readonly saes: EngineSaes;
  readonly #pictures: EnginePictures;
  readonly #source: ModelSource;
  readonly #options: EngineOptions;
  #notices: BackendNotice[] = [];
  #team: Team | null = null;
  /** The team, or the next one when it has failed. */
  #ready: Promise<Team>;
  #nextId = 1;
  #losses = 0;
  /** No GPU is tried any more. */
  #givenUp = false;
  /** The weights in storage may be what a GPU was found wrong by. */
  #doubtful = false;
  #failure: SlmError | null = null;
  #n_past = 0;
  #timings: Timings | null = null;
  #memoryBytes = 0;
  #gpu: GpuStats | null = null;

  private constructor(source: ModelSource, options: EngineOptions) {
    this.#source = source;
    this.#options = options;
    const load = (file: Blob) => this.#loadAdapter(file);
    const free = (id: number) => {
      this.#team?.ask({ type: 'free-adapter', id: this.#nextId++, adapter: id }).catch(() => undefined); // gone with its team
    };
    this.adapters = new EngineAdapters({ load, free }, source);
    this.saes = new EngineSaes(
      {
        load: (file) => this.#loadSae(file),
        free: (sae) => {
          this.#team?.ask({ type: 'free-sae', id: this.#nextId++, sae }).catch(() => undefined);
        },
        labels: (sae) => this.#labels(sae),
      },
      source,
    );
    this.#pictures = new EnginePictures(
      {
        load: (vision) => this.#loadVision(vision),
        encode: (picture) => this.#encode(picture),
        free: (picture) => {
          this.#team?.ask({ type: 'free-picture', id: this.#nextId++, picture }).catch(() => undefined); // gone with its team
        },
      },
      source,
    );
    this.#ready = this.#start();
  }

  static async start(source: ModelSource, options: EngineOptions = {}): Promise<Engine> {
    options.signal?.throwIfAborted();
    const { n_ctx = 1, n_batch = 1 } = options;
    for (const [name, value] of Object.entries({ n_ctx, n_batch }))
      if (!Number.isInteger(value) || value < 1)
        throw new SlmError(
          'invalid_argument',
          `Expected ${name} to be a whole number above 0, found ${value}.`,
        );
    checkKernels(options.kernels);
    const engine = new Engine(source, options);
    await engine.#ready;
    return engine;
  }

  get choice(): Choice {
    return this.#team!.choice;
  }

  get facts(): LoadedFacts {
    return this.#team!.facts;
  }

  /** What became of the GPU, the latest last. */
  get notices(): readonly BackendNotice[] {
    return this.#notices;
  }

  get losses(): number {
    return this.#losses;
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

  get gpu(): GpuStats | null {
    return this.#gpu;
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
  async generate(generation: Generation, handlers: GenerateHandlers): Promise<DoneReport> {
    const made: number[] = [];
    return this.#on((team) => this.#generateOn(team, generation, made, handlers));
  }

  /** The first `dimensions` numbers of a text's embedding, of length 1. */
  async embed(
    ids: Int32Array,
    dimensions: number,
    used: readonly AdapterUse[],
  ): Promise<Float32Array<ArrayBuffer>> {
    const reply = await this.#on(async (team) => {
      const adapters = await this.adapters.ready(used);
      return team.ask({ type: 'embed', id: this.#nextId++, ids, dimensions, adapters });
    });
    return reply.type === 'embedded' ? reply.embedding : unexpected(reply);
  }

  /** What the sixteen codes of an answer outline, (64, 64). */
  async mask(codes: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    const reply = await this.#on(async (team) => {
      await this.#pictures.loaded();
      return team.ask({ type: 'mask', id: this.#nextId++, codes });
    });
    return reply.type === 'mask' ? reply.values : unexpected(reply);
  }

  /** Rejects with the signal's reason when it was aborted. */
  async inspect(request: Inspecting, signal: AbortSignal | undefined): Promise<Inspected> {
    return this.#on(async (team) => {
      signal?.throwIfAborted();
      const adapters = await this.adapters.ready(request.adapters);
      const steer = await this.#steer(request.steer);
      const wish = request.features;
      const features = wish === null ? null : { ...wish, sae: await this.saes.id(wish.sae) };
      signal?.throwIfAborted();
      const id = this.#nextId++;
      const abort = () => team.send({ type: 'abort', id });
      signal?.addEventListener('abort', abort);
      try {
        const reply = await team.ask({ type: 'inspect', id, ...request, features, adapters, steer });
        signal?.throwIfAborted();
        return reply.type === 'inspected' ? reply.found! : unexpected(reply);
      } finally {
        signal?.removeEventListener('abort', abort);
      }
    });
  }

  dispose(): void {
    this.#fail(
      new SlmError(
        'disposed',
        'Expected a model that is still loaded, found one that was disposed of; load it again.',
      ),
    );
  }

  /** Goes on after the tokens that were `made`, by whichever team, and adds to them. */
  async #generateOn(
    team: Team,
    generation: Generation,
    made: number[],
    { onToken, onPrefill, signal }: GenerateHandlers,
  ): Promise<DoneReport> {
    signal?.throwIfAborted();
    // In this request's turn, so that an adapter removed before it is not used.
    const adapters = await this.adapters.ready(generation.adapters);
    const steer = await this.#steer(generation.steer);
    const pictures = await this.#pictures.ready(generation.pictures ?? [], signal);
    signal?.throwIfAborted();
    const id = this.#nextId++;
    const abort = () => team.send({ type: 'abort', id });
    signal?.addEventListener('abort', abort);
    try {
      const request = {
        type: 'generate',
        id,
        ...generation,
        adapters,
        steer,
        pictures,
        replay: Int32Array.from(made),
      } as const;
      const reply = await team.ask(request, (report) => {
        if (report.type === 'prefill') onPrefill(report.progress);
        else if (report.type === 'token') {
          made.push(report.token);
          onToken(report);
        }
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

  async #loadSae(file: Blob) {
    const reply = await this.#ask({ type: 'load-sae', id: this.#nextId++, file });
    return reply.type === 'sae' ? reply : unexpected(reply);
  }

  async #labels(sae: number) {
    const reply = await this.#ask({ type: 'sae-labels', id: this.#nextId++, sae });
    return reply.type === 'labels' ? reply.labels : unexpected(reply);
  }

  async #loadVision(file: Blob) {
    const reply = await this.#ask({ type: 'load-vision', id: this.#nextId++, file });
    return reply.type === 'vision' ? reply.facts : unexpected(reply);
  }

  /** By the worker's ids; loads what is not in memory yet. */
  #steer(steer: readonly Steering[]): Promise<RawSteer[]> {
    return Promise.all(
      steer.map(async (one) => ('sae' in one ? { ...one, sae: await this.saes.id(one.sae) } : one)),
    );
  }

  async #encode({ width, height, rgb }: RgbPicture): Promise<number> {
    const id = this.#nextId++;
    const reply = await this.#ask({ type: 'encode', id, width, height, rgb });
    return reply.type === 'encoded' ? id : unexpected(reply);
  }

  #ask(request: Exclude<MainRequest, { type: 'abort' }>): Promise<MainReply> {
    return this.#on((team) => team.ask(request));
  }

  /** Has a team do it, and the next one when that fails. */
  async #on<T>(work: (team: Team) => Promise<T>): Promise<T> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure;
      const ready = this.#ready;
      const team = await ready;
      try {
        return await work(team);
      } catch (error) {
        if (this.#ready === ready) throw error; // what the team answered
      }
    }
  }

  /** The next team: on the GPU while one is to be used and it can be, else on the CPU. */
  async #start(): Promise<Team> {
    while (!this.#givenUp) {
      const choice = await chooseBackend(this.#options);
      if (choice.gpu === null) {
        if (this.#losses > 0) this.#tell(choice.notice);
        else this.#notices.push(choice.notice); // nothing has changed
        break;
      }
      try {
        const team = this.#adopt(await this.#load(GPU_CHOICE, choice.gpu));
        this.#notices.push({ code: 'gpu_used', device: choice.device });
        return team;
      } catch (error) {
        this.#throwIfEnded();
        // No device is to blame, and none would do better.
        if (error instanceof SlmError && error.code === 'bad_manifest') throw error;
        this.#gpuFailed(error);
      }
    }
    const { variant, threads } = this.#options;
    return this.#adopt(await this.#load(chooseVariant(await probe(), { variant, threads }), null));
  }

  #load(choice: Choice, gpu: BackendChoice['gpu']): Promise<Team> {
    this.#throwIfEnded();
    const options = this.#options;
    const n_ctx = options.n_ctx ?? this.#source.manifest.memory.n_ctx_default;
    const { vision } = this.#source.manifest;
    const usual = N_BATCH[gpu === null ? 'cpu' : 'gpu'];
    const n_batch = options.n_batch ?? (vision === undefined ? usual : batchFor(vision, n_ctx, usual));
    // A new device in place of a lost one is most often the same.
    const kernels = this.#team?.facts.gpu?.info.kernels ?? options.kernels ?? {};
    const verify = this.#doubtful || (options.verify ?? false);
    const loading = this.#team === null ? options : {};
    return Team.start(this.#source, { choice, gpu, n_ctx, n_batch, kernels, verify }, loading);
  }

  /** A team that takes over belongs to no `load` any more, which could be aborted or shown. */
  #throwIfEnded(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#team === null) this.#options.signal?.throwIfAborted();
  }

  #adopt(team: Team): Team {
    if (this.#failure !== null) {
      team.stop(this.#failure);
      throw this.#failure;
    }
    this.#team = team;
    this.#n_past = 0;
    this.#memoryBytes = team.facts.memory_bytes;
    this.#gpu = team.facts.gpu?.stats ?? null;
    team.onMessage = (reply) => this.#note(reply);
    team.onFailure = (error) => {
      if (team.facts.gpu === null) this.#fail(error as SlmError);
      else this.#replace(error);
    };
    return team;
  }

  /** The GPU has failed: another team loads the model, and what was asked waits for it. */
  #replace(error: unknown): void {
    this.adapters.restart();
    this.saes.restart();
    this.#pictures.restart();
    this.#notices = this.#notices.filter(({ code }) => code !== 'gpu_used'); // no longer
    this.#ready = (async () => {
      this.#gpuFailed(error);
      return this.#start();
    })();
    this.#ready.catch((reason: unknown) => {
      this.#fail(reason instanceof SlmError ? reason : toSlmError(GpuFailure.of(reason)));
    });
  }

  /** A device that was lost is tried again, unless it goes on like that; what else fails would fail again.
   *  Throws for whoever wants no CPU. */
  #gpuFailed(error: unknown): void {
    let { notice } = GpuFailure.of(error);
    if (notice.code === 'gpu_lost') notice = { ...notice, losses: ++this.#losses };
    const again = notice.code === 'gpu_lost' && notice.losses < MOST_LOSSES;
    if (!again && wantsGpuOnly(this.#options))
      throw error instanceof SlmError ? error : toSlmError(new GpuFailure(notice, error));
    this.#givenUp = !again;
    this.#doubtful = notice.code === 'gpu_wrong' && notice.check === 'known_answer';
    const lost = notice.code === 'gpu_lost' && !again;
    this.#tell(lost ? { code: 'gpu_given_up', losses: this.#losses } : notice);
  }

  #tell(notice: BackendNotice): void {
    this.#notices.push(notice);
    this.#options.onNotice?.(sentence(notice), notice);
  }

  #note(reply: MainReply): void {
    if ('n_past' in reply) this.#n_past = reply.n_past;
    if ('timings' in reply) {
      this.#timings = reply.timings;
      this.#memoryBytes = reply.timings.memory_bytes;
    }
    if (
      reply.type === 'adapter' ||
      reply.type === 'sae' ||
      reply.type === 'vision' ||
      reply.type === 'encoded'
    )
      this.#memoryBytes = reply.memory_bytes;
    if (reply.type === 'done') this.#gpu = reply.gpu;
  }

  #fail(error: SlmError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#team?.stop(error);
  }
}

/** Names that mean nothing here are allowed: they may be another version's. */
function checkKernels(kernels: unknown = {}): void {
  const isRecord = typeof kernels === 'object' && kernels !== null && !Array.isArray(kernels);
  if (!isRecord || !Object.values(kernels).every((form) => typeof form === 'string'))
    throw new SlmError(
      'invalid_argument',
      "Expected kernels to be as info.gpu.kernels was at an earlier start, like {matvec: 'sweep'}.",
    );
}

function unexpected(reply: MainReply): never {
  throw new SlmError('crashed', `Expected an answer of the worker, found ${reply.type}; reload the page.`);
}
