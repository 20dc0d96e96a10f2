// Samples, and notices when a GPU computes nonsense although nothing has failed:
// what is no number, or one token without text again and again. The latter a model
// may mean, so the GPU is to prove itself once more, and what it has said is held
// back until then. On the CPU neither is a device's fault, and what the core says
// of it stands.

import { SlmError } from '../core/error';
import type { Model } from '../core/model';
import type { Session } from '../core/session';
import { GpuFailure } from '../gpu/failure';
import type { TokenReport } from './protocol';

/** Padding and unused tokens seldom follow one another in what a model has learnt. */
const MOST_EMPTY = 8;

export class Sanity {
  readonly #model: Model;
  readonly #session: Session;
  readonly #prove: (() => Promise<void>) | null;
  #proved = false;
  /** A run of one token without text. */
  #held: TokenReport[] = [];

  /** `prove` rejects when the GPU computes something else than it should; null on the CPU. */
  constructor(model: Model, session: Session, prove: (() => Promise<void>) | null) {
    this.#model = model;
    this.#session = session;
    this.#prove = prove;
  }

  sample(): number {
    try {
      return this.#session.sample();
    } catch (error) {
      // The core finds what is no number among the logits, and cannot know whose fault that is.
      if (this.#prove !== null && error instanceof SlmError && error.code === 'bad_file')
        throw new GpuFailure({ code: 'gpu_senseless', repeated: null }, error);
      throw error;
    }
  }

  /** Of these tokens after what was evaluated last. */
  logits(tokens: readonly number[]): readonly number[] {
    const all = this.#session.logits();
    const found = tokens.map((token) => all[token]!);
    return found.every(Number.isFinite) ? found : senseless(this.#prove, 'logits that are numbers');
  }

  /** The first `n` numbers of the text that was evaluated last. */
  embedding(n: number): Float32Array<ArrayBuffer> {
    const found = this.#session.embedding(n);
    const makesSense = found.every(Number.isFinite) && found.some((x) => x !== 0);
    return makesSense ? found : senseless(this.#prove, 'an embedding of a length');
  }

  /** What may be told now that this report is there, too. */
  async vetted(report: TokenReport): Promise<readonly TokenReport[]> {
    const told = this.#held.length > 0 && this.#held[0]!.token !== report.token ? this.held() : [];
    this.#held.push(report);
    if (this.#prove === null || this.#proved || !this.#isEmpty(report.token))
      return [...told, ...this.held()];
    const repeated = this.#held.length;
    if (repeated < MOST_EMPTY) return told;
    try {
      await this.#prove();
    } catch (error) {
      const { notice } = GpuFailure.of(error);
      throw notice.code === 'gpu_wrong' ? new GpuFailure({ code: 'gpu_senseless', repeated }, error) : error;
    }
    this.#proved = true;
    return this.held();
  }

  /** What was held back and will not be any longer. */
  held(): readonly TokenReport[] {
    const held = this.#held;
    this.#held = [];
    return held;
  }

  /** Twice, because a space at the beginning of a text may be left out. */
  #isEmpty(token: number): boolean {
    return this.#model.detokenize([token, token], { special: false }).length === 0;
  }
}

/** Where a device computed it, the device is to blame, else the weights. */
export function senseless(prove: (() => Promise<void>) | null, expected: string): never {
  if (prove !== null) throw new GpuFailure({ code: 'gpu_senseless', repeated: null });
  throw new SlmError(
    'bad_file',
    `Expected ${expected}, found others; the weights may be damaged: fetch the model again.`,
  );
}
