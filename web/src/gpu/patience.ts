// How long a GPU may say nothing. Drivers are known that never answer, and a promise of
// theirs that stays open would keep the CPU from starting. It knows no reason, only time.

import { GpuFailure } from './failure';

/** Of a browser that is asked for a device: it answers only when it has compiled what the page before wanted, and 14 s
 *  of that have been seen. */
export const ANSWER_MS = 60_000;
/** Of a device that a model is loaded on: an emulated one compiles slowly on a processor that is busy. */
export const START_MS = 120_000;

export class Patience {
  /** Rejects when there was no sign of life for so long. */
  readonly lost: Promise<never>;
  readonly #ms: number;
  #leave: () => void = () => undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `who` has to give signs of life. */
  constructor(ms: number, who: string) {
    this.#ms = ms;
    const failure = new GpuFailure({ code: 'gpu_failed', error: `${who} said nothing for ${ms / 1000} s.` });
    this.lost = new Promise((_, reject) => {
      this.#leave = () => reject(failure);
    });
    this.alive();
  }

  alive(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#leave, this.#ms);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/** The work, unless it takes longer; `late` gets what comes of it when nobody waits any more. */
export async function within<T>(
  work: Promise<T>,
  ms: number,
  who: string,
  late: (result: T) => void = () => undefined,
): Promise<T> {
  const patience = new Patience(ms, who);
  try {
    return await Promise.race([work, patience.lost]);
  } catch (error) {
    work.then(late, () => undefined);
    throw error;
  } finally {
    patience.end();
  }
}
