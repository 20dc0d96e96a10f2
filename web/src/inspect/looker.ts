// What is asked of the model, and when: a few layers at a time, the last ones first,
// so that the table fills from the top while the rest is computed. One text at a
// time; a newer one, or a stop, ends the one before. It draws nothing.

import type { InspectedToken, Slm } from '../api/types';

/** Layers of one request: a row or two appear every moment, and each request evaluates the text anew. */
const LAYERS_AT_ONCE = 3;
const TOP = 8;

export type LookState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'looking'; readonly done: number; readonly all: number }
  | { readonly kind: 'done'; readonly tokens: number; readonly layers: number }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly error: unknown };

export class Looker {
  private request: AbortController | null = null;

  constructor(
    private readonly onState: (state: LookState) => void,
    /** Some rows are there: of all tokens, behind some layers. */
    private readonly onRows: (tokens: readonly InspectedToken[]) => void,
  ) {}

  get busy(): boolean {
    return this.request !== null;
  }

  stop(): void {
    if (this.request === null) return;
    this.request.abort();
    this.request = null;
    this.onState({ kind: 'stopped' });
  }

  /** Of a request that is still the one of the moment. */
  private end(request: AbortController, state: LookState): void {
    if (this.request !== request) return;
    this.request = null;
    this.onState(state);
  }

  /** `layers`: rising. */
  async look(slm: Slm, text: string, layers: readonly number[]): Promise<void> {
    this.stop();
    const request = new AbortController();
    this.request = request;
    const { signal } = request;
    let tokens = 0;
    try {
      for (let end = layers.length; end > 0; end -= LAYERS_AT_ONCE) {
        this.onState({ kind: 'looking', done: layers.length - end, all: layers.length });
        const layer = layers.slice(Math.max(0, end - LAYERS_AT_ONCE), end);
        const found = await slm.inspect({ text, layer, top: TOP }, { signal });
        if (this.request !== request) return;
        tokens = found.tokens.length;
        this.onRows(found.tokens);
      }
      this.end(request, { kind: 'done', tokens, layers: layers.length });
    } catch (error) {
      this.end(request, { kind: 'failed', error });
    }
  }
}

/** The last of `n_layer` layers, and every `step`-th before it. */
export function chosenLayers(n_layer: number, step: number): number[] {
  return Array.from({ length: n_layer }, (_, layer) => layer).filter(
    (layer) => (n_layer - 1 - layer) % step === 0,
  );
}
