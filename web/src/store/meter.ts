// Counts bytes and turns them into a progress report: done, rate and seconds
// left. The rate is that of the last few seconds, because a mean since the
// start hides that a connection has slowed down. A download of which nothing
// comes has no rate at all: it is reported as lost until the next byte.

import type { LoadPhase, LoadProgress } from '../api/types';

const WINDOW_MS = 5000;
const REPORT_EVERY_MS = 100;
/** A download that is silent for so long is a lost one. */
const SILENCE_MS = 2500;

export class Meter {
  readonly #report: (progress: LoadProgress) => void;
  readonly #now: () => number;
  #phase: LoadPhase = 'check';
  #loaded = 0;
  #total = 0;
  #samples: { time: number; moved: number }[] = [];
  #moved = 0;
  #pipelines: LoadProgress['pipelines'];
  #lastReport = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(report: (progress: LoadProgress) => void, now: () => number = () => performance.now()) {
    this.#report = report;
    this.#now = now;
  }

  /** `loaded` is what was there before; it does not count as speed. */
  start(phase: LoadPhase, loaded: number, total: number): void {
    this.#phase = phase;
    this.#loaded = loaded;
    this.#total = total;
    this.#samples = [];
    this.#moved = 0;
    this.#emit(this.#now());
    this.#listen();
  }

  add(bytes: number): void {
    if (this.#phase === 'lost') this.start('download', this.#loaded, this.#total);
    this.#loaded += bytes;
    this.#moved += bytes;
    this.#listen();
    const now = this.#now();
    if (this.#loaded >= this.#total || now - this.#lastReport >= REPORT_EVERY_MS) this.#emit(now);
    // A connection may fall silent right now: then this is the last word for a while.
    else this.#timer ??= setTimeout(() => this.#emit(this.#now()), REPORT_EVERY_MS);
  }

  /** Programs of the GPU, beside the bytes. */
  pipelines(done: number, total: number): void {
    this.#pipelines = { done, total };
    this.#emit(this.#now());
  }

  /** Bytes that turned out to be worthless. */
  take(bytes: number): void {
    this.#loaded -= bytes;
  }

  /** Nothing more is expected to come. */
  end(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
  }

  /** Waits for the next byte of a download. */
  #listen(): void {
    clearTimeout(this.#silence);
    if (this.#phase !== 'download' || this.#loaded >= this.#total) return;
    this.#silence = setTimeout(() => this.start('lost', this.#loaded, this.#total), SILENCE_MS);
  }

  #emit(now: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#lastReport = now;
    this.#samples.push({ time: now, moved: this.#moved });
    while (this.#samples.length > 2 && now - this.#samples[0]!.time > WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0]!;
    const seconds = (now - first.time) / 1000;
    const rate = seconds > 0 && this.#moved > first.moved ? (this.#moved - first.moved) / seconds : null;
    this.#report({
      phase: this.#phase,
      loaded: this.#loaded,
      total: this.#total,
      rate,
      remaining: rate === null ? null : Math.max(0, this.#total - this.#loaded) / rate,
      ...(this.#pipelines === undefined ? {} : { pipelines: this.#pipelines }),
    });
  }
}
