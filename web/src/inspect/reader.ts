// What is asked of the model about features: those of a text's tokens, then one feature at
// all of them, then how the text goes on with its direction and without. One request at a
// time; a newer one, or a stop, ends the one before. It draws nothing.

import type { InspectedToken, SaeInfo, Slm, Steer } from '../api/types';

/** The strongest of a token that are listed. */
const TOP = 12;
/** How a text goes on: always the likeliest token, but a little averse to what was said. */
const CONTINUED = { max_tokens: 40, temperature: 0, repeat_penalty: 1.1 };

export type ReadState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'reading' }
  | { readonly kind: 'writing' }
  | { readonly kind: 'done'; readonly tokens: number }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly error: unknown };

/** A text as an autoencoder reads it. */
export interface Reading {
  readonly text: string;
  readonly sae: SaeInfo;
  readonly tokens: readonly InspectedToken[];
  /** An activation that is nothing special: the middle one of the tokens' strongest. */
  readonly usual: number;
}

export class Reader {
  private request: AbortController | null = null;
  /** Of features that were asked for: how active each is at every token. */
  private readonly known = new Map<number, readonly number[]>();
  private slm: Slm | null = null;
  reading: Reading | null = null;

  constructor(private readonly onState: (state: ReadState) => void) {}

  get busy(): boolean {
    return this.request !== null;
  }

  stop(): void {
    if (this.request === null) return;
    this.request.abort();
    this.request = null;
    this.onState({ kind: 'stopped' });
  }

  clear(): void {
    this.request?.abort();
    this.request = null;
    this.reading = this.slm = null;
    this.known.clear();
    this.onState({ kind: 'idle' });
  }

  /** null: something newer was asked, or it failed. */
  async read(slm: Slm, sae: SaeInfo, text: string): Promise<Reading | null> {
    this.clear();
    return this.ask('reading', async (signal) => {
      const { tokens } = await slm.inspect({ text, sae: sae.name, top: TOP }, { signal });
      signal.throwIfAborted();
      this.slm = slm;
      this.reading = { text, sae, tokens, usual: usualOf(tokens) };
      return this.reading;
    });
  }

  /** How active a feature is at every token of the text that was read; null as above. */
  async activations(feature: number): Promise<readonly number[] | null> {
    const { slm, reading } = this;
    if (slm === null || reading === null) return null;
    const known = this.known.get(feature);
    if (known !== undefined) {
      if (this.busy) this.stop();
      return known;
    }
    const { text, sae } = reading;
    return this.ask('reading', async (signal) => {
      const request = { text, sae: sae.name, top: 1, features: [feature] };
      const { tokens } = await slm.inspect(request, { signal });
      const found = tokens.map(({ features }) => features!.at(-1)!.activation);
      this.known.set(feature, found);
      return found;
    });
  }

  /** The text goes on as it would, then steered; `onText` is told of each piece. True: both are whole. */
  async goOn(
    steer: Extract<Steer, { sae: string }>,
    onText: (steered: boolean, piece: string) => void,
  ): Promise<boolean> {
    const { slm, reading } = this;
    if (slm === null || reading === null) return false;
    const done = await this.ask('writing', async (signal) => {
      for (const by of [undefined, [steer]]) {
        const request = {
          ...CONTINUED,
          prompt: reading.text,
          stream: true,
          steer: by,
          parse_special: false,
        } as const;
        for await (const { choices } of await slm.completions.create(request, { signal }))
          onText(by !== undefined, choices[0].text);
      }
      return true;
    });
    return done ?? false;
  }

  private async ask<T>(
    kind: 'reading' | 'writing',
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | null> {
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    this.onState({ kind });
    try {
      const found = await work(request.signal);
      if (this.request !== request) return null;
      this.request = null;
      this.onState({ kind: 'done', tokens: this.reading?.tokens.length ?? 0 });
      return found;
    } catch (error) {
      if (this.request === request) {
        this.request = null;
        this.onState({ kind: 'failed', error });
      }
      return null;
    }
  }
}

/** All but the first token, whose rows are unlike all others, where there are others. */
export function usualOf(tokens: readonly InspectedToken[]): number {
  const strongest = (tokens.length > 1 ? tokens.slice(1) : tokens)
    .map(({ features }) => features?.[0]?.activation ?? 0)
    .sort((a, b) => a - b);
  return strongest[Math.floor(strongest.length / 2)] ?? 0;
}

/** What the strongest colour stands for: the first token's rows are unlike all others, and left out where
 *  there are others. */
export function greatest(activations: readonly number[]): number {
  return Math.max(0, ...(activations.length > 1 ? activations.slice(1) : activations));
}
