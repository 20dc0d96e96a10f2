// How fast a loaded model reads and writes, as the page that measures a device asks
// it: as anybody may, through the public interface.

import type { Slm } from './types';

export interface ModelRates {
  readonly prefill_tokens: number;
  readonly prefill_tokens_per_second: number;
  readonly decode_tokens: number;
  readonly decode_tokens_per_second: number;
}

export interface MeasureWish {
  /** Tokens to read, and to write after them. */
  readonly prompt: number;
  readonly generate: number;
  /** The medians of so many runs count; a short one comes before them. */
  readonly repeat?: number;
  readonly signal?: AbortSignal | undefined;
}

const TEXT =
  'The harbour lay quiet under the morning fog, and only the bell of the outer buoy could be heard. ' +
  'A clerk counted 1,024 crates twice, wrote the number down, and began again. ';

/** As people chat. The likeliest token alone, again and again, may be one without text, as from a GPU that
 *  has gone mad. */
const SAMPLING = { temperature: 0.8, top_k: 40, seed: 1, ignore_eog: true } as const;

export async function measureModel(slm: Slm, wish: MeasureWish): Promise<ModelRates> {
  const { prompt, generate, repeat = 3, signal } = wish;
  const words = await slm.tokenize(TEXT);
  const run = async (first: number, read: number, write: number) => {
    // Each begins with another word: what was read before would not be read again.
    const ids = Array.from({ length: read }, (_, i) => words[(first + i) % words.length]!);
    const request = { ...SAMPLING, prompt: await slm.detokenize(ids), max_tokens: write };
    return (await slm.completions.create(request, signal === undefined ? {} : { signal })).timings;
  };
  await run(0, Math.min(16, prompt), 2);
  const runs = [];
  for (let i = 1; i <= repeat; i++) runs.push(await run(i, prompt, generate));
  return {
    prefill_tokens: prompt,
    prefill_tokens_per_second: median(runs.map((one) => one.prefill_tokens_per_second)),
    decode_tokens: generate,
    decode_tokens_per_second: median(runs.map((one) => one.decode_tokens_per_second)),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
