// Looking inside a model: what it makes of a text behind each layer, and what is
// added there. Types only, as in types.ts, which names them.

import type { ChatMessage, TokenLogprob, Usage } from './completions';

/** Adds a direction to what a layer hands on, of every token. */
export interface Steer {
  /** From 0. */
  readonly layer: number;
  /** `info.n_embd` numbers. */
  readonly direction: ArrayLike<number>;
  /** How often it is added; negative takes it away. */
  readonly strength: number;
}

export interface InspectRequest {
  /** The text, or messages through the model's template. */
  readonly text?: string;
  readonly messages?: readonly ChatMessage[];
  /** Behind which layers to look, from 0; by default behind all. */
  readonly layer?: number | readonly number[];
  /** How many of the most likely tokens, 1 to 20; default 5. */
  readonly top?: number;
  readonly steer?: readonly Steer[];
}

export interface LayerView {
  readonly layer: number;
  /** What the model would say next if it ended behind this layer (the logit lens), most likely first. */
  readonly next: readonly TokenLogprob[];
}

export interface InspectedToken {
  readonly id: number;
  readonly token: string;
  /** The token's bytes, which may be part of a character. */
  readonly bytes: readonly number[];
  /** By rising layer. */
  readonly layers: readonly LayerView[];
}

export interface Inspection {
  readonly model: string;
  readonly tokens: readonly InspectedToken[];
  readonly usage: Usage;
}
